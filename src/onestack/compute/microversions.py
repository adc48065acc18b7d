"""Compute's microversions, and what each changes in what is served here.

The range is that of Nova's 2026.2 release. A version without a note below changes nothing that this service has
(live migration, volumes, shelving, cells, bare metal). Source: Nova's REST API version history.

2.2    keypairs have a `type`; create answers 201, delete 204
2.3    more OS-EXT-SRV-ATTR fields for admins: hostname, kernel_id, launch_index, ramdisk_id, reservation_id,
       root_device_name, user_data; `delete_on_termination` of attached volumes
2.6    remote-consoles replaces the os-get…Console actions
2.7    flavor access of a public flavor is refused with 409
2.8    mks consoles
2.9    `locked` in servers
2.10   keypairs of other users (`user_id`), for admins
2.11   services: forced_down
2.12   networks: no longer a `vlan` quirk in /os-networks
2.13   server groups: project_id, user_id
2.16   `host_status` in servers, for admins
2.17   trigger crash dump
2.18   the project id in the path is optional
2.19   `description` of servers
2.21   instance actions of deleted servers can be read
2.26   server tags, and list filters by tag
2.32   `tag` of networks at create; 2.33 paging of hypervisors; 2.35 paging of keypairs
2.36   proxies to image, network and volume APIs are gone
2.37   `networks` is required at create, and may be "auto" or "none"
2.38   an invalid status filter is 400
2.39   image metadata proxy is gone
2.42   `tag` of networks at create, again
2.44   multinic and virtual-interface proxies are gone
2.45   createImage answers with a body
2.46   x-openstack-request-id beside x-compute-request-id
2.47   servers embed their flavor
2.48   standard diagnostics
2.49   `tag` of attached interfaces
2.51   events of instance actions for users; `updated_at` of actions
2.52   `tags` at create
2.53   services and hypervisors are named by UUIDs
2.54   rebuild: key_name; 2.57 rebuild: user_data
2.55   `description` of flavors, and changing it
2.57   personality is gone; so are injected-file limits
2.58   paging of instance actions; 2.66 changes-before
2.61   extra specs in flavors, for those who may see them
2.62   `host` of events, for admins; hostId for all
2.63   trusted image certificates
2.69   partial answers when part of the cloud is down
2.70   `tag` in interface attachments
2.71   server groups in servers
2.73   locked_reason, and the `locked` filter
2.74   create: `host`, `hypervisor_hostname`, for admins
2.75   unknown query parameters are 400; update and rebuild answer with the whole server; swap of a flavor is 0
2.78   server topology
2.81   images cache of aggregates
2.83   more list filters for everybody
2.84   `details` of instance action events
2.88   hypervisors lose the figures that placement has
2.90   `hostname` at create and update, and shown to everybody
2.92   keypairs are only imported, never generated; @ and . in their names
2.94   `hostname` may be a domain name
2.96   pinned_availability_zone in servers
2.98   image properties in servers
2.100  scheduler_hints in servers
2.102  flavors lose rxtx_factor and OS-FLV-DISABLED:disabled, gain the `name` filter
2.104  pinned_availability_zone can be changed
"""

from __future__ import annotations

from onestack.core.dialect import Version

LEGACY: Version = (2, 0)  # /v2: no microversions, unknown properties are ignored
MINIMUM: Version = (2, 1)
MAXIMUM: Version = (2, 104)
