"""AdamW without the second that its first instance takes."""

import inspect

import torch


class AdamW(torch.optim.AdamW):
    """torch's own, without its precautions for `torch.compile`, which nothing here is under.

    They import `torch._dynamo`, which takes as long as a small study's screening. What is updated,
    and how, is torch's.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
