"""WHAT IS THERE: namespaces, workloads, pods, Services and policies of a cluster."""
