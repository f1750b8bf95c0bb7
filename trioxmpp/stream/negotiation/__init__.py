"""From the stream header to a session: TLS, authentication, binding, resumption."""
