"""What the commands of `mdeblurgan` do; their options and help are in `cli.py`."""
