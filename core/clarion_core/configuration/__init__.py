"""Channel configurations: what may stand in one, whether it comes from a file or through the service.

`part` has what all of it is made of, `channels` the channels; each kind of provider has a module of its own.
"""
