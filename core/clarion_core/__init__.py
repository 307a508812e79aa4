"""What is true: the rules (`domain`), the records (`store`), the templates (`content`), settings and logs.

The server and the workers both stand on this package; it knows neither gRPC nor protobuf.
"""
