"""Images of servers, from the action to the active image, on the real image service; the test plays the host."""

from __future__ import annotations

import msgspec
import pytest
import sqlalchemy as sa

from onestack.agent import qcow2
from onestack.compute import public
from onestack.compute.models import Server
from onestack.core.operations import Operation
from onestack.image import service as image_service
from onestack.image.models import ImageProperty
from onestack.image.models_stores import ImageLocation
from onestack.wire import Fault, ImageAnswer, ImageOffer, ServerStatus, StepEvent
from tests.compute.conftest import IMAGE, OTHER_IMAGE, PlayedAgent, add_image
from tests.conftest import OTHER_PROJECT, PERSONAS, PROJECT
from tests.image.stores import with_image

DISK = qcow2.empty(1 << 30)
LIVING = {"active": [], "stopped": ["os-stop"], "paused": ["pause"], "suspended": ["suspend"]}


class Snapshots:
    """A user of both services, and the host's part of a snapshot, piece by piece."""

    def __init__(self, nova, glance):
        self.nova, self.glance = nova, glance

    def ask(self, server_id, version="2.45", as_="member", action="createImage", **more):
        return self.nova.act(server_id, action, {"name": "shot", **more}, version=version, as_=as_)

    def begin(self, server_id, **more):
        answer = self.ask(server_id, **more)
        assert answer.status_code == 202, answer.text
        return answer.json["image_id"]

    def spec(self):
        """What the host is told of the server that is being worked on."""
        (spec,) = self.nova.agent.work(after=0).servers
        self.nova.agent.specs[spec.id] = spec
        return spec

    def offer(self, spec, size=None, agent=None):
        agent = agent or self.nova.agent
        return agent.post(f"/v1/operations/{spec.operation.id}/image", ImageOffer(size=size))

    def wanted(self, spec, size=None):
        answer = self.offer(spec, size)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=ImageAnswer).wanted

    def send(self, spec, data=DISK, agent=None):
        agent = agent or self.nova.agent
        return agent.client.put(
            f"/v1/operations/{spec.operation.id}/image", as_=None, body=data,
            headers={**agent.headers, "Content-Type": "application/octet-stream"},
        )  # fmt: skip

    def deliver(self, spec, data=DISK):
        assert self.wanted(spec)
        assert self.wanted(spec, len(data))
        answer = self.send(spec, data)
        assert answer.status_code == 200, answer.text

    def reports(self, spec, state="done", power="running", message="", steps=()):
        fault = Fault(message=message) if state == "failed" else None
        self.nova.agent.report(
            ServerStatus(id=spec.id, revision=spec.revision, power=power, operation_id=spec.operation.id,
                         operation_state=state, fault=fault, steps=list(steps))
        )  # fmt: skip

    def take(self, server_id, power="running", **more):
        """A whole snapshot: the image's id."""
        image_id = self.begin(server_id, **more)
        spec = self.spec()
        self.deliver(spec)
        self.reports(spec, power=power)
        return image_id

    def show(self, image_id, as_="member"):
        answer = self.glance.get(f"/v2/images/{image_id}", as_=as_)
        return answer.json if answer.status_code == 200 else None

    def task(self, server_id):
        return self.nova.states(server_id)[2]

    def action(self, server_id, name="createImage"):
        client, headers = self.nova.client, {"OpenStack-API-Version": "compute 2.84"}
        path = f"/v2.1/servers/{server_id}/os-instance-actions"
        found = [one for one in client.get(path, as_="admin", headers=headers).json["instanceActions"]
                 if one["action"] == name]  # fmt: skip
        return client.get(f"{path}/{found[0]['request_id']}", as_="admin", headers=headers).json["instanceAction"]

    def rows(self):
        """What must not be left of an image that is gone: properties, objects, operations that are owed."""
        with self.nova.cloud.db.read() as session:
            owed = sa.select(Operation.id).where(Operation.finished_at.is_(None))
            return [*session.scalars(sa.select(ImageProperty.image_id)), *session.scalars(owed),
                    *session.scalars(sa.select(ImageLocation.image_id))]  # fmt: skip

    def files(self):
        """What is there of images; the node's name stands beside them."""
        found = (file.name for file in self.nova.cloud.settings.path("images").rglob("*") if file.is_file())
        return [name for name in found if name != "node"]


@pytest.fixture
def shots(nova, client_of):
    return Snapshots(nova, client_of(image_service.build(nova.cloud)["image"]))


def set_image(nova, image_id, properties, **columns):
    """Another image to boot from, with these properties."""
    with nova.cloud.db.write() as session:
        add_image(session, nova.cloud, image_id, **columns)
        session.flush()
        session.add_all(ImageProperty(image_id=image_id, name=name, value=value) for name, value in properties.items())


def test_the_answer_is_a_location_and_from_2_45_on_a_body(shots):
    server_id = shots.nova.boot()
    answer = shots.ask(server_id, version="2.44")
    assert (answer.status_code, answer.content) == (202, b"")
    address, _, image_id = answer.headers["Location"].rpartition("/")
    assert address == shots.nova.cloud.settings.url("image") + "/images"
    assert shots.show(image_id)["status"] == "queued"
    spec = shots.spec()
    shots.deliver(spec)
    shots.reports(spec)
    answer = shots.ask(server_id, version="2.45")
    assert answer.status_code == 202
    assert set(answer.json) == {"image_id"}
    assert "Location" not in answer.headers
    assert shots.show(answer.json["image_id"])["status"] == "queued"


def test_from_queued_to_active_with_novas_states_of_both(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    assert (shots.task(server_id), shots.show(image_id)["status"]) == ("image_snapshot_pending", "queued")
    spec = shots.spec()
    assert (spec.operation.action, spec.desired) == ("createImage", "running")
    shots.reports(spec, "running")
    assert shots.task(server_id) == "image_snapshot"
    assert shots.wanted(spec)
    assert (shots.task(server_id), shots.show(image_id)["status"]) == ("image_pending_upload", "queued")
    assert shots.wanted(spec, len(DISK))
    assert (shots.task(server_id), shots.show(image_id)["status"]) == ("image_uploading", "saving")
    assert shots.nova.show(server_id)["status"] == "ACTIVE"
    assert shots.send(spec).status_code == 200
    image = shots.show(image_id)
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", len(DISK), 1 << 30)
    assert (image["disk_format"], image["container_format"], image["stores"]) == ("qcow2", "bare", "file")
    assert shots.glance.get(f"/v2/images/{image_id}/file").content == DISK
    assert shots.task(server_id) == "image_uploading"
    step = StepEvent(event="upload_image", start=1.0, finish=2.0, result="Success")
    shots.reports(spec, steps=[step])
    assert shots.task(server_id) is None
    action = shots.action(server_id)
    assert action["message"] is None
    assert [event["event"] for event in action["events"]] == ["upload_image"]


@pytest.mark.parametrize("stage", ["image_snapshot_pending", "image_snapshot", "image_pending_upload"])
def test_servers_are_found_by_these_task_states(shots, stage):
    server_id = shots.nova.boot()
    shots.begin(server_id)
    spec = shots.spec()
    if stage != "image_snapshot_pending":
        shots.reports(spec, "running")
    if stage == "image_pending_upload":
        shots.wanted(spec)

    def found(query):
        return [one["id"] for one in shots.nova.client.get(f"/v2.1/servers?{query}", as_="admin").json["servers"]]

    everywhere = f"all_tenants=1&task_state={stage}"
    assert found(everywhere) == [server_id]
    assert found("all_tenants=1&status=ACTIVE") == [server_id]
    assert found("all_tenants=1&task_state=spawning") == []


def test_what_the_image_says_of_itself(shots):
    inherited = {
        "hw_disk_bus": "virtio", "os_distro": "debian", "owner_specified.openstack.md5": "x", "os_glance_stage": "x",
        "img_signature": "x", "cache_in_nova": "true", "block_device_mapping": "[]", "image_type": "base",
    }  # fmt: skip
    base = "88888888-31e7-49b7-b260-868f441e862b"
    set_image(shots.nova, base, inherited, min_ram=64, min_disk=0)
    server_id = shots.nova.boot(imageRef=base)
    image_id = shots.begin(server_id, metadata={"purpose": "test", "os_distro": "mine"})
    ann = PERSONAS["member"]
    image = shots.show(image_id)
    early = {
        "hw_disk_bus": "virtio", "os_distro": "mine", "owner_specified.openstack.md5": "x", "purpose": "test",
        "base_image_ref": base, "image_type": "snapshot", "instance_uuid": server_id, "user_id": ann.user_id,
        "owner_user_name": "ann", "owner_project_name": "one", "boot_roles": "member,reader",
    }  # fmt: skip
    known = {"checksum", "container_format", "created_at", "disk_format", "file", "id", "min_disk", "min_ram", "name",
             "os_hash_algo", "os_hash_value", "os_hidden", "owner", "protected", "schema", "self", "size", "status",
             "tags", "updated_at", "virtual_size", "visibility", "stores"}  # fmt: skip
    properties = {name: value for name, value in image.items() if name not in known}
    assert properties == early
    assert (image["name"], image["visibility"], image["owner"]) == ("shot", "private", PROJECT)
    assert (image["min_ram"], image["min_disk"]) == (64, 1)
    assert (image["disk_format"], image["container_format"]) == (None, None)
    shots.deliver(shots.spec())
    image = shots.show(image_id)
    late = {"image_location": "snapshot", "image_state": "available", "owner_id": PROJECT}
    assert {name: value for name, value in image.items() if name not in known} == early | late


def test_the_base_image_is_the_first_of_a_row_until_a_rebuild(shots):
    first = shots.nova.boot()
    shot = shots.take(first)
    shots.nova.client.delete(f"/v2.1/servers/{first}")
    shots.nova.settle()
    second = shots.nova.boot(imageRef=shot)
    assert shots.show(shots.take(second))["base_image_ref"] == IMAGE
    assert shots.nova.act(second, "rebuild", {"imageRef": OTHER_IMAGE}).status_code == 202
    shots.nova.settle()
    assert shots.show(shots.take(second))["base_image_ref"] == OTHER_IMAGE


def test_a_server_is_made_from_it_when_the_base_image_is_gone(shots):
    server_id = shots.nova.boot()
    image_id = shots.take(server_id)
    assert shots.glance.delete(f"/v2/images/{IMAGE}", as_="admin").status_code == 204
    shots.nova.client.delete(f"/v2.1/servers/{server_id}")
    shots.nova.settle()
    clone = shots.nova.boot(imageRef=image_id)
    spec = shots.nova.agent.specs[clone]
    assert (spec.image.id, spec.image.disk_format, spec.image.size) == (image_id, "qcow2", len(DISK))
    got = shots.nova.agents.get(f"/v1/images/{image_id}", as_=None, headers=shots.nova.agent.headers)
    assert got.content == DISK


def test_a_server_that_is_older_than_what_is_remembered(shots):
    server_id = shots.nova.boot()
    with shots.nova.cloud.db.write() as session:
        session.execute(sa.update(Server).values(system_metadata={}))
    for action in ("createImage", "createBackup"):
        more = {"backup_type": "daily", "rotation": 1} if action == "createBackup" else {}
        image = shots.show(shots.take(server_id, action=action, **more))
        assert (image["status"], image["base_image_ref"], image["min_disk"]) == ("active", IMAGE, 1)


@pytest.mark.parametrize("vm", list(LIVING))
def test_in_every_state_of_the_living_and_it_stays_so(shots, vm):
    server_id = shots.nova.boot()
    for name in LIVING[vm]:
        shots.nova.act(server_id, name)
        shots.nova.settle()
    before = shots.nova.states(server_id)
    assert before[1] == vm
    image_id = shots.take(server_id, power=shots.nova.agent.power[server_id])
    assert shots.show(image_id)["status"] == "active"
    assert shots.nova.states(server_id) == before


def test_a_guest_that_powers_off_meanwhile_is_shutoff(shots):
    server_id = shots.nova.boot()
    image_id = shots.take(server_id, power="shutdown")
    assert shots.show(image_id)["status"] == "active"
    assert shots.nova.states(server_id) == ("SHUTOFF", "stopped", None, 4)
    assert shots.spec().desired == "stopped"


def test_refusals_are_novas(shots):
    server_id = shots.nova.boot()
    assert shots.ask("a" * 35).status_code == 404
    assert shots.ask(server_id, as_="other").json["itemNotFound"]["message"] == (
        f"Instance {server_id} could not be found."
    )
    assert shots.ask(server_id, as_="reader").status_code == 403
    for body in (
        {}, {"name": ""}, {"name": "a" * 256}, {"name": " a"}, {"name": None}, {"name": "x", "else": 1},
        {"name": "x", "metadata": {"": "y"}}, {"name": "x", "metadata": {"a" * 256: "y"}},
        {"name": "x", "metadata": {"a": "y" * 256}}, {"name": "x", "metadata": {"a": 1}},
        {"name": "x", "metadata": []}, {"name": "x\U0001f600"},
        {"name": "x", "metadata": {"min_disk": "7"}}, {"name": "x", "metadata": {"kernel_id": "no-uuid"}},
    ):  # fmt: skip
        answer = shots.nova.act(server_id, "createImage", body)
        assert answer.status_code == 400, (body, answer.text)
    for name in ("status", "os_glance_x", "location"):
        assert shots.ask(server_id, metadata={name: "x"}).status_code == 403
    assert shots.rows() == []
    shots.begin(server_id)
    answer = shots.ask(server_id)
    assert answer.status_code == 409
    assert answer.json["conflictingRequest"]["message"] == (
        f"Cannot 'createImage' instance {server_id} while it is in task_state image_snapshot_pending"
    )
    assert shots.nova.act(server_id, "os-stop").status_code == 409


def test_not_of_servers_that_are_being_built_or_broken(shots):
    building = shots.nova.create().json["server"]["id"]
    assert f"Cannot 'createImage' instance {building} while it is in vm_state building" in shots.ask(building).text
    shots.nova.settle()
    shots.nova.act(building, "os-resetState", {"state": "error"}, as_="admin")
    assert "vm_state error" in shots.ask(building).text
    assert shots.rows() == []


def test_a_lock_keeps_nobody_from_it(shots):
    server_id = shots.nova.boot()
    shots.nova.act(server_id, "lock", as_="admin")
    assert shots.show(shots.take(server_id))["status"] == "active"


def test_limits(shots):
    server_id = shots.nova.boot()
    many = {f"key{number}": "x" for number in range(129)}
    answer = shots.ask(server_id, version="2.38", metadata=many)
    assert answer.status_code == 403
    assert answer.json["forbidden"]["message"] == "Image metadata limit exceeded"
    answer = shots.ask(server_id, version="2.39", metadata=many)  # from here on it is the image's own limit
    assert answer.status_code == 403
    assert "number of allowed image properties" in answer.text
    assert shots.rows() == []


def test_properties_that_the_caller_may_not_create(nova, client_of):
    rules = "[^closed_]\ncreate = admin\nread = @\nupdate = admin\ndelete = admin\n"
    rules += "[.*]\ncreate = @\nread = @\nupdate = @\ndelete = @\n"
    (nova.cloud.settings.root / "protections.conf").write_text(rules)
    with_image(nova.cloud, property_protection_file="protections.conf")
    shots = Snapshots(nova, client_of(image_service.build(nova.cloud)["image"]))
    base = "88888888-31e7-49b7-b260-868f441e862b"
    set_image(nova, base, {"closed_x": "1"})
    answer = shots.ask(nova.boot(), metadata={"closed_x": "1"})
    assert (answer.status_code, "closed_x" in answer.text) == (403, True)
    heir = nova.boot(imageRef=base)
    assert shots.ask(heir).status_code == 403
    assert shots.ask(heir, as_="admin").status_code == 202


def test_an_administrators_image_of_anothers_server_is_shared_with_its_project(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id, as_="admin")
    image = shots.show(image_id)
    assert image["owner"] == PERSONAS["admin"].project_id
    assert image["visibility"] == "shared"
    members = shots.glance.get(f"/v2/images/{image_id}/members", as_="admin").json["members"]
    assert [one["member_id"] for one in members] == [PROJECT]
    assert shots.show(image_id, as_="other") is None
    assert OTHER_PROJECT not in str(image)


def test_an_image_that_is_deleted_ends_the_snapshot_at_each_point(shots):
    server_id = shots.nova.boot()
    for point in range(3):
        image_id = shots.begin(server_id)
        spec = shots.spec()
        if point > 0:
            assert shots.wanted(spec)
        if point > 1:
            assert shots.wanted(spec, len(DISK))
        assert shots.glance.delete(f"/v2/images/{image_id}").status_code == 204
        if point > 1:
            assert shots.send(spec).status_code == 410
        assert not shots.wanted(spec, len(DISK) if point else None)
        shots.reports(spec)
        assert shots.task(server_id) is None
        action = shots.action(server_id)
        assert action["message"] is None
        assert "The image was deleted" in action["events"][0]["details"]
        assert (shots.rows(), shots.files()) == ([], [])
    assert shots.show(shots.take(server_id))["status"] == "active"


def test_what_fails_leaves_no_image_and_says_why(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    spec = shots.spec()
    shots.wanted(spec)
    step = StepEvent(event="copy_disk", start=1.0, finish=2.0, result="Error", message="Its disk is full.")
    shots.reports(spec, "failed", message="Its disk is full.", steps=[step])
    assert shots.show(image_id) is None
    assert shots.nova.states(server_id) == ("ACTIVE", "active", None, 1)
    action = shots.action(server_id)
    assert action["message"] == "Error"
    assert (action["events"][0]["result"], action["events"][0]["details"]) == ("Error", "Its disk is full.")
    assert shots.rows() == []


def test_data_that_is_no_disk_is_refused_and_the_image_waits(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    spec = shots.spec()
    shots.wanted(spec, 4)
    answer = shots.send(spec, b"rot!")
    assert answer.status_code == 415
    assert shots.show(image_id)["status"] == "saving"
    assert shots.files() == []
    shots.deliver(spec)
    assert shots.show(image_id)["status"] == "active"


def test_more_than_may_be_stored_is_refused_before_the_first_byte(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    spec = shots.spec()
    answer = shots.offer(spec, (1 << 40) + 1)
    assert answer.status_code == 413
    assert "too large" in answer.text
    assert shots.show(image_id)["status"] == "queued"


@pytest.mark.parametrize("how", ["delete", "reset"])
def test_an_end_of_the_operation_ends_the_image(shots, how):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    spec = shots.spec()
    assert shots.wanted(spec, len(DISK))
    if how == "delete":
        assert shots.nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 204
    else:
        assert shots.nova.act(server_id, "os-resetState", {"state": "active"}, as_="admin").status_code == 202
        assert shots.spec().operation is None
    assert shots.show(image_id) is None
    assert shots.offer(spec).status_code == 404
    assert shots.send(spec).status_code == 404
    shots.nova.settle()
    assert (shots.rows(), shots.files()) == ([], [])


def test_an_image_that_is_complete_outlives_the_server(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    shots.deliver(shots.spec())
    shots.nova.client.delete(f"/v2.1/servers/{server_id}")
    shots.nova.settle()
    assert shots.show(image_id)["status"] == "active"


def test_data_that_somebody_else_uploaded_stands(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    spec = shots.spec()
    patch = [{"op": "replace", "path": f"/{name}", "value": value}
             for name, value in (("disk_format", "raw"), ("container_format", "bare"))]  # fmt: skip
    media = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    shots.glance.patch(f"/v2/images/{image_id}", headers=media, body=msgspec.json.encode(patch))
    stream = {"Content-Type": "application/octet-stream"}
    assert shots.glance.put(f"/v2/images/{image_id}/file", headers=stream, body=b"mine").status_code == 204
    assert shots.offer(spec, len(DISK)).status_code == 409
    shots.reports(spec, "failed", message="No.")
    assert shots.show(image_id)["size"] == 4


def test_every_message_may_come_twice(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    spec = shots.spec()
    for size in (None, len(DISK)):
        assert shots.wanted(spec, size)
        assert shots.wanted(spec, size)
    assert shots.send(spec).status_code == 200
    assert shots.send(spec).status_code == 409
    assert not shots.wanted(spec)
    assert not shots.wanted(spec, len(DISK))
    shots.reports(spec)
    shots.reports(spec)
    assert shots.show(image_id)["status"] == "active"
    assert shots.files() == [image_id]


def test_only_the_servers_host_may_send_it(shots):
    server_id = shots.nova.boot()
    image_id = shots.begin(server_id)
    spec = shots.spec()
    with shots.nova.cloud.db.write() as session:
        public.register_host_token(session, shots.nova.cloud, "evil", "evil-token")
    evil = PlayedAgent(shots.nova.agents, "evil", "evil-token")
    evil.hello()
    assert shots.offer(spec, len(DISK), evil).status_code == 404
    assert shots.send(spec, agent=evil).status_code == 404
    evil.token = "nobody's"
    assert shots.send(spec, agent=evil).status_code == 401
    assert shots.show(image_id)["status"] == "queued"
    assert shots.nova.agent.post("/v1/operations/nothing/image", ImageOffer()).status_code == 404


def test_the_older_list_of_images_finds_it_by_its_server(shots):
    server_id, other = shots.nova.boot(), shots.nova.boot(name="two")
    image_id = shots.begin(server_id)

    def found(query):
        return [one["id"] for one in shots.nova.client.get(f"/v2.1/images?{query}").json["images"]]

    assert found("type=snapshot") == [image_id]
    assert found(f"server={server_id}&type=snapshot") == [image_id]
    assert found(f"server=http://x/servers/{server_id}") == [image_id]
    assert found(f"server={other}") == []
    shown = shots.nova.client.get(f"/v2.1/images/{image_id}").json["image"]
    assert (shown["status"], shown["progress"], shown["server"]["id"]) == ("SAVING", 25, server_id)


def backups(shots, server_id, kind, rotation, **more):
    spec_of = shots.ask(server_id, action="createBackup", backup_type=kind, rotation=rotation, **more)
    assert spec_of.status_code == 202, spec_of.text
    shots.nova.cloud.clock.advance(1)
    spec = next(one for one in shots.nova.agent.work(after=0).servers if one.id == server_id)
    shots.deliver(spec)
    shots.reports(spec)
    return spec_of.json["image_id"]


def test_backups_are_rotated_by_type(shots):
    server_id, other = shots.nova.boot(), shots.nova.boot(name="two")
    weekly, others = backups(shots, server_id, "weekly", 1), backups(shots, other, "daily", 1)
    first, second = backups(shots, server_id, "daily", 2), backups(shots, server_id, "daily", 2, metadata={"a": "b"})
    image = shots.show(second)
    assert (image["image_type"], image["backup_type"], image["a"]) == ("backup", "daily", "b")
    assert shots.show(first)["status"] == "active"
    third = backups(shots, server_id, "daily", 2)
    assert shots.show(first) is None
    assert all(shots.show(one)["status"] == "active" for one in (weekly, others, second, third))
    assert backups(shots, server_id, "daily", 0)
    assert shots.show(second) is None
    assert shots.show(third) is None
    assert shots.show(weekly) is not None


def test_a_protected_backup_stays_and_a_failed_one_rotates_nothing(shots):
    server_id = shots.nova.boot()
    first = backups(shots, server_id, "daily", 1)
    media = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    patch = msgspec.json.encode([{"op": "replace", "path": "/protected", "value": True}])
    assert shots.glance.patch(f"/v2/images/{first}", headers=media, body=patch).status_code == 200
    second = backups(shots, server_id, "daily", 1)
    assert shots.show(first) is not None
    answer = shots.ask(server_id, action="createBackup", backup_type="daily", rotation=1)
    shots.reports(shots.spec(), "failed", message="No.")
    assert shots.show(answer.json["image_id"]) is None
    assert shots.show(second) is not None


def test_answers_to_a_backup(shots):
    server_id = shots.nova.boot()
    answer = shots.ask(server_id, action="createBackup", version="2.44", backup_type="daily", rotation="1")
    assert answer.status_code == 202
    assert shots.task(server_id) == "image_backup"
    root, _, image_id = answer.headers["Location"].rpartition("/images/")
    assert root.endswith("/v2.1")
    assert (shots.show(image_id)["disk_format"], shots.show(image_id)["container_format"]) == ("qcow2", "bare")
    shots.reports(shots.spec(), "failed", message="No.")
    answer = shots.ask(server_id, action="createBackup", version="2.1", backup_type="daily", rotation=0)
    assert "Location" not in answer.headers
    shots.reports(shots.spec(), "failed", message="No.")
    for body in ({"backup_type": "daily"}, {"rotation": 1}, {"backup_type": 1, "rotation": 1},
                 {"backup_type": "daily", "rotation": -1}, {"backup_type": "daily", "rotation": "x"},
                 {"backup_type": "daily", "rotation": 1, "more": 1}):  # fmt: skip
        assert shots.nova.act(server_id, "createBackup", {"name": "b", **body}).status_code == 400
    assert shots.ask(server_id, action="createBackup", as_="reader", backup_type="d", rotation=1).status_code == 403
    assert shots.ask(server_id, action="createBackup", as_="other", backup_type="d", rotation=1).status_code == 404
