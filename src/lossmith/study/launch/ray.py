"""Ray as an engine: it has no `submit`, but takes shares of a GPU."""

from collections.abc import Callable, Mapping
from typing import Any

from lossmith.study.base.errors import InputError

try:
    import ray
except ModuleNotFoundError as error:
    raise InputError("on='ray' needs ray; install it with: pip install 'lossmith[ray]'") from error

NAMES = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}  # of Ray's own resources


class Submitted:
    """A task of Ray, asked as a future is."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def done(self) -> bool:
        """Tell whether it has ended."""
        return bool(ray.wait([self.reference], timeout=0)[0])

    def exception(self) -> Exception | None:
        """Return why it failed, once it has ended."""
        try:
            ray.get(self.reference)
        except ray.exceptions.RayTaskError as error:
            return getattr(error, "cause", None) or error
        except ray.exceptions.RayError as error:
            return error
        return None

    def cancel(self) -> None:
        """Take it back where it still waits for its place."""
        ray.cancel(self.reference)


class Ray:
    """The cluster that Ray is connected to, or one of this machine."""

    def __init__(self, resources: Mapping[str, float] | None = None) -> None:
        wanted = dict(resources or {})
        self.options: dict[str, Any] = {NAMES[n]: wanted.pop(n) for n in NAMES if n in wanted}
        self.options["resources"] = wanted

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Submitted:
        """Let a worker of the cluster call a function; again, where its machine goes."""
        task = ray.remote(function).options(max_retries=-1, **self.options)
        return Submitted(task.remote(*arguments))
