"""A study's trials as runs of MLflow, by its own client."""

from typing import Any

STATUS = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MLflowEvents:
    """What a study tells of its trials, as runs of an experiment: `Study(…, on_event=…)`.

    A trial is a run with the parameters loss, learning_rate, fold and seed; each report is a step
    of the metric `score`. A trial that goes on after a pause, in whatever process, goes on in its
    run. What MLflow does not take is not told; the study's own journal has it all.

    Args:
        experiment: its name, of this study alone; made where there is none.
        tracking_uri: of the server, database or folder; MLflow's own setting if None.

    Raises:
        ModuleNotFoundError: if MLflow is not installed: pip install 'lossmith[mlflow]'.
    """

    def __init__(self, experiment: str, *, tracking_uri: str | None = None) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=tracking_uri)
        found = self.client.get_experiment_by_name(experiment)
        self.experiment: str = (
            self.client.create_experiment(experiment) if found is None else found.experiment_id
        )

    def __call__(self, event: str, trial: Any, what: Any) -> None:
        """Tell that a trial started, reported a score, or ended with an outcome."""
        run = self._run(trial)
        if event == "started":
            self.client.update_run(run, status="RUNNING")
        elif event == "report":
            self.client.log_metric(run, "score", float(what), step=trial.reported)
        elif what in STATUS:
            self.client.set_terminated(run, STATUS[what])
        else:  # paused, or given back
            self.client.update_run(run, status="SCHEDULED")

    def _run(self, trial: Any) -> str:
        """Return the trial's run, made where there is none."""
        runs = self.client.search_runs([self.experiment], f"tags.trial = '{trial.id}'")
        if runs:
            return str(runs[0].info.run_id)
        tags = {"trial": trial.id, "mlflow.runName": trial.id}
        run = str(self.client.create_run(self.experiment, tags=tags, run_name=trial.id).info.run_id)
        for name in ("learning_rate", "fold", "seed"):
            self.client.log_param(run, name, getattr(trial, name))
        self.client.log_param(run, "loss", trial.name)
        return run
