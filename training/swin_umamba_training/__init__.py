"""Training and the command line of napari-swin-umamba.

:func:`swin_umamba_training.train.train` and :func:`swin_umamba_training.evaluate.evaluate` are
what the program ``swin-umamba`` (:mod:`swin_umamba_training.cli`) calls. Importing this package
imports none of them, and not torch.
"""
