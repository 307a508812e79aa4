"""The gRPC door: every handler converts in, calls, converts out; cross-cutting work is in one interceptor."""
