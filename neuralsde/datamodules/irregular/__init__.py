"""Irregular time series: every series with time stamps of its own, gaps as gaps."""
