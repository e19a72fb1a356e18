"""Data sets: what lies in a folder, what is wrong with it, what it holds, and its slices on disk.

===============  =================================================================================
``source``       which kind of data set a folder is: ``pairs``, ``nnunet``, ``annotations``
``survey``       every case is read once; ``problems`` lists all that is wrong at the same time
``fingerprint``  shapes, spacing, intensities, frequencies, and what follows for the plan
``slice_store``  slices as the network takes them, in files that are mapped into memory
``splitting``    training and validation, by cases or blocks of slices
``importing``, ``exporting``  to a project, and from a project to nnU-Net raw
===============  =================================================================================
"""
