"""A saved view of a Weights & Biases project: python -m neuralsde.evaluation.wandb_workspace ENTITY PROJECT"""

import argparse
import sys
from types import ModuleType
from typing import Any

from neuralsde.errors import NeuralSDEError
from neuralsde.evaluation.extras import needed
from neuralsde.evaluation.glossary import LEARNED, PICTURES, SCORE_NAMES

KL_TERMS = ("kl_initial", "kl_path")
PROGRESS = ("raster", "series", "frames", "latents")


def workspace(entity: str, project: str, name: str = "neuralsde") -> Any:
    """The view, not saved: sections of scores, loss terms, learned parameters and pictures.

    Args:
        entity: user or team.
        project: of the runs, `logger.project` in a run's config.
        name: of the view.

    Raises:
        ConfigError: wandb-workspaces is not installed.
    """
    views = optional("wandb_workspaces.workspaces")
    sections = {
        "Scores": score_panels(),
        "Loss terms": loss_panels(),
        "Learned parameters": learned_panels(),
        "Pictures": picture_panels(),
    }
    made = [views.Section(name=title, panels=panels, is_open=True) for title, panels in sections.items()]
    return views.Workspace(entity=entity, project=project, name=name, sections=made)


def score_panels() -> list[Any]:
    """Validation scores as training goes on, and a bar per run for each final score."""
    kit = optional("wandb_workspaces.reports.v2")
    curves = [line(kit, f"val/{key}", title) for key, title in (("co_bps", "co-bps"), ("fp_bps", "fp-bps"), ("elbo", "ELBO"))]
    bars = [kit.BarPlot(title=title, metrics=[kit.SummaryMetric(f"score/{key}")]) for key, title in SCORE_NAMES.items()]
    return [*curves, *bars]


def loss_panels() -> list[Any]:
    """The loss, its terms and weights, and the norm of the gradient."""
    kit = optional("wandb_workspaces.reports.v2")
    weights = kit.LinePlot(title="Weights of the KL terms", x="epoch", y=[f"train/{name}_weight" for name in KL_TERMS])
    return [
        line(kit, "train/loss", "Loss"),
        kit.LinePlot(title="Negative log-likelihood", x="epoch", y=["train/nll", "val/nll"]),
        *(line(kit, f"train/{name}", name.replace("_", " ").replace("kl", "KL")) for name in KL_TERMS),
        weights,
        kit.LinePlot(title="Norm of the gradient", x="epoch", y=["train/grad_norm"], log_y=True),
    ]


def learned_panels() -> list[Any]:
    """One panel for each quantity that dynamics can learn, a line for each component."""
    kit = optional("wandb_workspaces.reports.v2")
    return [kit.LinePlot(title=title, x="epoch", metric_regex=f"^learned/{name}.*/") for name, (title, _) in LEARNED.items()]


def picture_panels() -> list[Any]:
    """The pictures during training, by step, and those of the scored checkpoint."""
    kit = optional("wandb_workspaces.reports.v2")
    during = kit.MediaBrowser(title="During training", media_keys=[f"progress/{name}" for name in PROGRESS])
    final = [kit.MediaBrowser(title=title, media_keys=[f"plots/{name}"]) for name, (title, _) in PICTURES.items()]
    return [during, *final]


def line(kit: ModuleType, metric: str, title: str) -> Any:
    """One quantity over epochs."""
    return kit.LinePlot(title=title, x="epoch", y=[metric])


def optional(module: str) -> ModuleType:
    """A module of the extra.

    Raises:
        ConfigError: it is not installed.
    """
    return needed(module, "dashboard", "The dashboard's view")


def main(arguments: list[str] | None = None) -> None:
    """Save the view and print where it is."""
    parser = argparse.ArgumentParser("python -m neuralsde.evaluation.wandb_workspace", description=__doc__)
    parser.add_argument("entity", help="user or team")
    parser.add_argument("project", nargs="?", default="neuralsde", help="default: neuralsde")
    parser.add_argument("--name", default="neuralsde", help="of the view (default: neuralsde)")
    given = parser.parse_args(arguments)
    try:
        view = workspace(given.entity, given.project, given.name)
    except NeuralSDEError as error:
        print(f"neuralsde: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    view.save()
    print(view.url)


if __name__ == "__main__":
    main()
