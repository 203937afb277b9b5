"""Files of the UCR and UEA archives of classified series, in each format that they come in."""

from neuralsde.datamodules.irregular.archive.case import Case
from neuralsde.datamodules.irregular.archive.folder import archive_files, read_archive_file

__all__ = ["Case", "archive_files", "read_archive_file"]
