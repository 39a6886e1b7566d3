"""The cluster runtime: the same parts behind addresses of a Kubernetes cluster; nothing here starts a process."""
