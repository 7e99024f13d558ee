"""Streams: the same tasks in the same order under several arms, to measure what learning from experience is worth."""

from agentkit.evolution.streams.arms import ARMS, StreamArm
from agentkit.evolution.streams.comparing import StreamPlan, compare_arms
from agentkit.evolution.streams.report import stream_report

__all__ = ["ARMS", "StreamArm", "StreamPlan", "compare_arms", "stream_report"]
