"""What is read of each kind of Kubernetes object, as msgspec Structs.

Whatever else an object holds (environment, Secrets, most of its status) is never decoded.
Kubernetes writes null for what is not set, so every optional field takes it.

Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.33/
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from recommender.policy.model import Protocol
from recommender.policy.selector import Operator

PortNumber = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Owner(msgspec.Struct):
    kind: str
    name: str
    controller: bool | None = None


class Meta(msgspec.Struct, rename="camel"):
    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    creation_timestamp: str | None = None
    resource_version: str | None = None
    owner_references: list[Owner] | None = None


class Head(msgspec.Struct, rename="camel"):
    kind: str | None = None
    api_version: str | None = None


class About(msgspec.Struct):
    metadata: Meta | None = None


class Namespace(msgspec.Struct):
    class Notes(msgspec.Struct):
        annotations: dict[str, str] | None = None

    metadata: Notes


class Selector(msgspec.Struct, rename="camel"):
    match_labels: dict[str, str] | None = None
    match_expressions: list[Expression] | None = None


class Expression(msgspec.Struct):
    key: str
    operator: Operator
    values: list[str] | None = None


class ContainerPort(msgspec.Struct, rename="camel"):
    container_port: PortNumber
    protocol: Protocol | None = None
    name: str | None = None


class Container(msgspec.Struct, rename="camel"):
    image: str | None = None
    ports: list[ContainerPort] | None = None
    restart_policy: str | None = None


class PodSpec(msgspec.Struct, rename="camel"):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    host_network: bool | None = None
    node_name: str | None = None


class PodTemplate(msgspec.Struct):
    metadata: Meta | None = None
    spec: PodSpec | None = None


class Controller(msgspec.Struct):
    class Spec(msgspec.Struct):
        template: PodTemplate | None = None
        selector: Selector | None = None

    spec: Spec | None = None


class ReplicationController(msgspec.Struct):
    class Spec(msgspec.Struct):
        template: PodTemplate | None = None
        selector: dict[str, str] | None = None

    spec: Spec | None = None


class Job(msgspec.Struct):
    class Spec(msgspec.Struct):
        template: PodTemplate | None = None

    spec: Spec | None = None


class CronJob(msgspec.Struct):
    class Spec(msgspec.Struct, rename="camel"):
        schedule: str | None = None
        job_template: Job | None = None

    spec: Spec | None = None


class IP(msgspec.Struct):
    ip: str | None = None


class Pod(msgspec.Struct):
    class Status(msgspec.Struct, rename="camel"):
        phase: str | None = None
        start_time: str | None = None
        ip: str | None = msgspec.field(name="podIP", default=None)
        ips: list[IP] | None = msgspec.field(name="podIPs", default=None)

    spec: PodSpec | None = None
    status: Status | None = None


class ServicePort(msgspec.Struct, rename="camel"):
    port: PortNumber
    name: str | None = None
    protocol: Protocol | None = None
    target_port: int | str | None = None
    node_port: int | None = None


class LoadBalancer(msgspec.Struct):
    ingress: list[IP] | None = None


class Service(msgspec.Struct):
    class Spec(msgspec.Struct, rename="camel"):
        selector: dict[str, str] | None = None
        type: str | None = None
        ports: list[ServicePort] | None = None
        cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)
        cluster_ips: list[str] | None = msgspec.field(name="clusterIPs", default=None)
        external_ips: list[str] | None = msgspec.field(name="externalIPs", default=None)

    class Status(msgspec.Struct, rename="camel"):
        load_balancer: LoadBalancer | None = None

    spec: Spec | None = None
    status: Status | None = None


class Target(msgspec.Struct):
    kind: str | None = None
    name: str | None = None


class Port(msgspec.Struct):
    port: PortNumber | None = None
    name: str | None = None
    protocol: Protocol | None = None


class EndpointSlice(msgspec.Struct, rename="camel"):
    class Endpoint(msgspec.Struct, rename="camel"):
        class Conditions(msgspec.Struct):
            terminating: bool | None = None

        addresses: list[str] | None = None
        conditions: Conditions | None = None
        target_ref: Target | None = None

    address_type: str | None = None
    endpoints: list[Endpoint] | None = None
    ports: list[Port] | None = None


class Endpoints(msgspec.Struct):
    class Subset(msgspec.Struct, rename="camel"):
        class Address(msgspec.Struct, rename="camel"):
            ip: str
            target_ref: Target | None = None

        addresses: list[Address] | None = None
        not_ready_addresses: list[Address] | None = None
        ports: list[Port] | None = None

    subsets: list[Subset] | None = None


class Node(msgspec.Struct):
    class Spec(msgspec.Struct):
        cidr: str | None = msgspec.field(name="podCIDR", default=None)
        cidrs: list[str] | None = msgspec.field(name="podCIDRs", default=None)

    class Status(msgspec.Struct):
        class Address(msgspec.Struct):
            type: str
            address: str

        addresses: list[Address] | None = None

    spec: Spec | None = None
    status: Status | None = None
