"""`python -m napari_mdeblurgan` is the `mdeblurgan` command."""

from napari_mdeblurgan.cli import main

if __name__ == "__main__":
    main()
