"""One self-contained HTML page that tells what a run was and how it went."""

from neuralsde.evaluation.report.page import write_report
from neuralsde.evaluation.report.pictures import Picture, add_pictures
from neuralsde.evaluation.report.trajectories import write_trajectories

__all__ = ["Picture", "add_pictures", "write_report", "write_trajectories"]
