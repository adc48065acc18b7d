"""A question that a dead agent's poll has swallowed reaches the next agent."""

from __future__ import annotations

from onestack.compute import questions


def test_an_unanswered_question_is_handed_out_again(nova, cloud):
    server_id = nova.boot()
    nova.agent.run()
    questions._put(cloud, "q1", "host1", server_id, "console_stream", {})
    assert [question.id for question in nova.agent.work().questions] == ["q1"]
    assert nova.agent.work().questions == []
    cloud.clock.advance(2)
    assert [question.id for question in nova.agent.work().questions] == ["q1"]
    questions._drop(cloud, "q1")
    cloud.clock.advance(2)
    assert nova.agent.work().questions == []
