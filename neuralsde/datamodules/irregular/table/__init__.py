"""A user's own series in one table: a CSV or Parquet file with a column of series, one of times, and one per channel."""

from neuralsde.datamodules.irregular.table.module import TableSeries

__all__ = ["TableSeries"]
