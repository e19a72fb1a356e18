"""The napari front: the only package here that imports napari and Qt.

Modules without Qt, tested without a viewer: :mod:`layer_view` (what napari shows), :mod:`reading`
(how that becomes an image for the model), :mod:`result_layer` and :mod:`transform` (what comes
back), :mod:`reruns` (which layer may be written to), :mod:`model_list`, and
:mod:`job` (the work itself).
The Qt side is small: :mod:`segment_widget` puts the rows together.
"""
