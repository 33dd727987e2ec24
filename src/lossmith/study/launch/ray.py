"""Ray as an engine: it has no `submit`, but takes shares of a GPU."""

from collections.abc import Callable, Mapping
from typing import Any

from lossmith.study.base.errors import InputError

NAMES = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}  # of Ray's own resources


class Submitted:
    """A task of Ray, asked as a future is."""

    def __init__(self, ray: Any, reference: Any) -> None:
        self.ray, self.reference = ray, reference

    def done(self) -> bool:
        """Tell whether it has ended."""
        return bool(self.ray.wait([self.reference], timeout=0)[0])

    def exception(self) -> Exception | None:
        """Return why it failed, once it has ended."""
        try:
            self.ray.get(self.reference)
        except self.ray.exceptions.RayTaskError as error:
            return getattr(error, "cause", None) or error
        except self.ray.exceptions.RayError as error:
            return error
        return None

    def cancel(self) -> None:
        """Take it back where it still waits for its place."""
        self.ray.cancel(self.reference)


class Ray:
    """The cluster that Ray is connected to, or one of this machine.

    Raises:
        InputError: if Ray is not installed.
    """

    def __init__(self, resources: Mapping[str, float] | None = None) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise InputError(
                "on='ray' needs ray; install it with: pip install 'lossmith[ray]'"
            ) from error
        self.ray = ray
        wanted = dict(resources or {})
        self.options: dict[str, Any] = {NAMES[n]: wanted.pop(n) for n in NAMES if n in wanted}
        self.options["resources"] = wanted

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Submitted:
        """Let a worker of the cluster call a function; again, where its machine goes."""
        task = self.ray.remote(function).options(max_retries=-1, **self.options)
        return Submitted(self.ray, task.remote(*arguments))
