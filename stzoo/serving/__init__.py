"""A model as an HTTP service: a video is posted, its row comes back.

service   what a client asks for, and how it is answered
batching  one thread that runs the net, for several requests at a time
gauges    what the service counts, as Prometheus reads it
"""
