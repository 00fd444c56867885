"""Who runs the targets: processes of this machine, or the workers of a Dask cluster. One interface for both."""

from __future__ import annotations

from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from opsnb.errors import UsageError
from opsnb.fleet.target import Order, TargetEnd
from opsnb.fleet.working import Processes, work


class Executor(Protocol):
    """Takes orders; each future answers with how its target ended."""

    def submit(self, order: Order) -> Future[TargetEnd]:
        """Runs *order* as soon as a worker is free."""

    def stop(self) -> None:
        """What runs ends now and leaves its reports; what did not begin never does."""

    def close(self) -> None:
        """Nothing more will be ordered."""


class Local:
    """*workers* targets at a time on this machine. The threads only wait: each target is a process group of its own."""

    def __init__(self, workers: int) -> None:
        self._processes = Processes()
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="fleet")

    def submit(self, order: Order) -> Future[TargetEnd]:
        """Runs *order* as soon as a worker is free."""
        return self._pool.submit(work, order, self._processes)

    def stop(self) -> None:
        """What runs ends now and leaves its reports; what did not begin never does."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._processes.stop()

    def close(self) -> None:
        """Waits for what runs."""
        self._pool.shutdown()


class Dask:
    """The workers of the cluster whose scheduler is at *address*. Each needs opsnb, the project at the same path, and its references."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise UsageError("--dask needs distributed, which cannot be imported here: pip install 'opsnb[dask]'") from None
        try:
            self._client = distributed.Client(address, timeout=10, set_as_default=False)  # type: ignore[no-untyped-call, unused-ignore]
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"--dask {address}: expected the address of a Dask scheduler that answers ({type(error).__name__})") from None
        # phases only read: the scheduler gives a lost worker's target to another one, and gives up after its allowed failures; what a
        # target itself raises is not tried again
        self._pool: Pool = self._client.get_executor(pure=False, retries=0)  # type: ignore[no-untyped-call, unused-ignore]

    def submit(self, order: Order) -> Future[TargetEnd]:
        """Runs *order* as soon as a worker is free."""
        return self._pool.submit(work, order)

    def stop(self) -> None:
        """Forgets what did not begin; a target at work on another machine runs to its end or its time-out."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Leaves the cluster."""
        self._client.close()  # type: ignore[no-untyped-call, unused-ignore]
