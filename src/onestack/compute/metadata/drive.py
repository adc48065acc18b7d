"""The files of a config drive: the same documents, for guests that have no network yet.

Source: Nova's user guide, "Config drives": openstack/<version>/…, openstack/content/…, ec2/<version>/….
"""

from __future__ import annotations

import msgspec

from onestack.compute.metadata import ec2, openstack
from onestack.compute.metadata.facts import Facts
from onestack.wire import DriveFile

_EC2_FOLDERS = ("2009-04-04", ec2.LATEST)  # Nova leaves the older ones out
# A password is posted, and there is nobody to post it to; network data came to the drive with its version.
_LEFT_OUT = (openstack.PASSWORD,)


def files(facts: Facts, seed: bytes) -> list[DriveFile]:
    """Every file, in a fixed order, with paths relative to the drive's root."""
    found: list[DriveFile] = []
    for folder in _EC2_FOLDERS:
        if facts.user_data is not None:
            found.append(DriveFile(path=f"ec2/{folder}/user-data", content=facts.user_data))
        body = ec2.without_listings(ec2.meta_data(facts, ec2.resolved(folder) or ec2.VERSIONS[-1]))
        found.append(DriveFile(path=f"ec2/{folder}/meta-data.json", content=msgspec.json.encode(body)))
    for folder in (*openstack.VERSIONS, openstack.LATEST):
        version = openstack.resolved(folder) or openstack.VERSIONS[-1]
        for name in openstack.names(facts, version):
            document = openstack.document(facts, version, name, seed, drive=True)
            if document is not None and name not in _LEFT_OUT:
                found.append(DriveFile(path=f"openstack/{folder}/{name}", content=document[0]))
    found += [
        DriveFile(path=f"openstack{place}", content=content) for _path, place, content in openstack.contents(facts)
    ]
    return found
