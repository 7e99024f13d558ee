"""What AgentKit claims, where each claim comes from, and the tests that would fail if it were not so.

An id is `area.behaviour`. `tests/test_claims.py` checks that every test named here exists and every claim has one.
Look up what a test stands for with `claims_of("tests/graph/test_kills.py::test_…")`.
"""

from __future__ import annotations

from dataclasses import dataclass

ACE = "ACE, arXiv 2510.04618"
AGENTFLY = "AgentFly, arXiv 2508.16153"
LLM_DUO = "LLM-Duo, IJCAI 2025, paper 1078"
PROMISE = "promise"
SOURCES = (ACE, AGENTFLY, LLM_DUO, PROMISE)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One behaviour.

    Attributes:
        source: the paper (with the deviation, if there is one, in `says`), or a promise of our own.
        says: the behaviour in one sentence.
        tests: node ids of the tests that hold it.
    """

    source: str
    says: str
    tests: tuple[str, ...]


_RUNS = "tests/graph/test_runs.py::"
_KILLS = "tests/graph/test_kills.py::"
_LEDGER = "tests/test_ledger.py::"
_LOOP = "tests/evolution/test_loop.py::"
_GATE = "tests/evolution/test_gate.py::"
_STORE = "tests/store/test_store.py::"
_CALLER = "tests/models/test_caller.py::"
_HOSTED = "tests/models/test_hosted.py::"
_BOX = "tests/tools/test_sandbox.py::"
_FILES = "tests/tools/test_local_files.py::"
_HTTP = "tests/tools/test_http_get.py::"
_RECALL = "tests/memory/test_recall.py::"
_TRUST = "tests/memory/test_trust.py::"
_VALUE = "tests/memory/test_value.py::"
_CURATE = "tests/curation/test_curate.py::"
_EVIDENCE = "tests/curation/test_evidence.py::"
_PLAN = "tests/curation/test_ontology.py::"
_SERVING = "tests/server/test_stopping.py::"
_LEARNER = "tests/playbooks/test_learner.py::"
_BOOK = "tests/playbooks/test_storage.py::"

CLAIMS: dict[str, Claim] = {
    "run.resume": Claim(
        source=PROMISE,
        says="After SIGKILL at any named point a run goes on, and no completed model or tool call is repeated.",
        tests=(
            f"{_KILLS}test_a_run_killed_at_every_named_point_finishes_when_resumed",
            f"{_CALLER}test_a_journal_answers_the_same_call_again_for_nothing",
            f"{_RUNS}test_a_failed_run_goes_on_where_it_stopped",
            "tests/curation/test_kill.py::test_a_killed_run_goes_on_without_repeating_a_call",
        ),
    ),
    "serve.accepted": Claim(
        source=PROMISE,
        says="Every request that `agentkit serve` accepts is a run that ends or goes on, through SIGTERM and SIGKILL.",
        tests=(
            f"{_SERVING}test_requests_that_were_accepted_before_sigterm_are_answered",
            f"{_SERVING}test_runs_that_have_no_time_left_are_interrupted_and_go_on_at_the_next_start",
            f"{_SERVING}test_sixty_four_requests_outlive_a_kill",
            f"{_SERVING}test_a_run_that_waits_for_its_client_outlives_a_kill",
            f"{_SERVING}test_a_run_goes_on_when_nobody_waits_for_it_any_more",
        ),
    ),
    "run.once": Claim(
        source=PROMISE,
        says="Every change is applied exactly once, whatever is killed around it.",
        tests=(
            f"{_LEDGER}test_a_process_killed_around_a_commit_leaves_it_whole_or_absent",
            f"{_LEDGER}test_committing_the_same_key_again_applies_its_effect_once",
            f"{_LOOP}test_ten_kills_leave_the_same_final_state_as_none",
            "tests/test_kills.py::test_what_is_stopped_loses_nothing_and_does_nothing_twice",
            f"{_RECALL}test_a_run_is_learnt_exactly_once",
            f"{_LEARNER}test_learning_that_crashes_anywhere_is_finished_when_it_is_repeated",
        ),
    ),
    "run.target": Claim(
        source=PROMISE,
        says="No model sees the target in label-free mode: with targets replaced by noise all prompts are the same.",
        tests=(
            f"{_RUNS}test_prompts_do_not_change_when_the_target_is_noise",
            "tests/test_evaluation.py::test_no_model_sees_a_target_and_no_target_guides_a_run",
            f"{_LOOP}test_label_free_prompts_are_byte_identical_when_targets_are_noise",
            f"{_LEARNER}test_without_labels_noise_in_the_target_leaves_every_prompt_the_same",
        ),
    ),
    "run.person": Claim(
        source=PROMISE,
        says="A run can wait for a person, and makes no tool call that was refused.",
        tests=(
            f"{_RUNS}test_a_person_can_confirm_the_answer",
            f"{_RUNS}test_a_refused_tool_call_is_not_made",
            "tests/cli/test_run.py::test_a_run_that_waits_says_how_to_reply_and_goes_on_with_the_reply",
        ),
    ),
    "run.budget": Claim(
        source=PROMISE,
        says="Budgets are checked before each call and are on by default.",
        tests=(
            f"{_RUNS}test_a_budget_stops_the_run_before_the_next_call",
            f"{_CALLER}test_each_limit_of_a_budget_is_checked_before_a_call",
            f"{_HOSTED}test_a_spent_budget_stops_the_call_before_it_is_made",
        ),
    ),
    "learn.gate": Claim(
        source=PROMISE,
        says="A change is tested on held-out work; a useless or harmful one does not enter.",
        tests=(
            f"{_GATE}test_useless_and_harmful_changes_are_rejected",
            f"{_GATE}test_a_helpful_change_is_accepted_with_its_counts_test_interval_and_cost",
            f"{_LOOP}test_a_harmful_reflector_leaves_the_start_in_place",
        ),
    ),
    "learn.traced": Claim(
        source=PROMISE,
        says="What was rewritten behind the ledger's back is found out; versions can be compared and restored.",
        tests=(
            f"{_LEDGER}test_a_rewritten_change_is_found_out",
            f"{_BOOK}test_every_version_stays_what_it_was_through_rollbacks_of_rollbacks",
            f"{_CURATE}test_versions_can_be_compared_and_restored",
            f"{_CURATE}test_an_altered_row_is_found",
            f"{_RECALL}test_an_outcome_moves_the_policy_and_a_rollback_moves_it_back",
        ),
    ),
    "learn.same": Claim(
        source=PROMISE,
        says="The same configuration and seed give identical ledgers, whatever the concurrency.",
        tests=(
            f"{_LOOP}test_ledgers_are_identical_whatever_the_concurrency",
            "tests/evolution/test_agent_evolution.py::test_ledgers_of_an_agent_are_identical_whatever_the_concurrency",
        ),
    ),
    "trust.block": Claim(
        source=PROMISE,
        says="Text from outside reaches a prompt only in a block that it can't close.",
        tests=(
            f"{_RECALL}test_text_in_a_case_can_not_close_its_block",
            "tests/test_checkers.py::test_a_judge_sees_question_reference_and_answer_as_data",
        ),
    ),
    "trust.quarantine": Claim(
        source=PROMISE,
        says="Cases and lessons from untrusted sources are not shown until they are released or tested.",
        tests=(
            f"{_TRUST}test_of_200_cases_planted_through_tool_output_none_is_shown",
            f"{_RECALL}test_untrusted_runs_are_quarantined_and_not_shown",
            f"{_LEARNER}test_lessons_of_untrusted_runs_wait_in_quarantine_until_the_gate_has_spoken",
        ),
    ),
    "trust.forget": Claim(
        source=PROMISE,
        says="Forgetting a source leaves no byte of it in any file.",
        tests=(f"{_TRUST}test_forget_leaves_no_byte_in_any_file_and_the_policy_of_one_that_never_saw_it",),
    ),
    "trust.sandbox": Claim(
        source=PROMISE,
        says="Model-written code runs isolated, in name spaces or in an interpreter of its own, or not at all.",
        tests=(
            f"{_BOX}test_there_is_no_network_not_even_to_this_machine",
            f"{_BOX}test_neither_the_home_folder_nor_the_repository_can_be_read",
            f"{_BOX}test_a_packaged_binary_that_is_not_the_one_we_know_is_not_run",
            f"{_BOX}test_where_namespaces_are_not_permitted_bubblewrap_refuses_and_nothing_runs",
            f"{_BOX}test_where_nothing_isolates_code_is_refused_with_what_to_install",
            "tests/tools/test_monty.py::test_there_are_no_files_no_environment_no_network_and_no_processes",
        ),
    ),
    "trust.tools": Claim(
        source=PROMISE,
        says="File tools stay in their folder, and pages are fetched from listed hosts alone.",
        tests=(
            f"{_FILES}test_paths_out_of_the_folder_are_refused",
            f"{_FILES}test_links_out_of_the_folder_are_refused",
            f"{_HTTP}test_anything_that_is_not_on_the_list_is_refused",
            f"{_HTTP}test_a_redirect_is_checked_like_the_first_address",
        ),
    ),
    "trust.secrets": Claim(
        source=PROMISE,
        says="Secrets are neither stored in lessons, shown, nor handed to tool servers.",
        tests=(
            f"{_LEARNER}test_secrets_in_lessons_are_not_written_down",
            "tests/cli/test_setup.py::test_doctor_reports_every_part_and_no_secret",
            "tests/tools/test_mcp.py::test_api_keys_of_this_process_do_not_reach_a_server",
        ),
    ),
    "errors.line": Claim(
        source=PROMISE,
        says="Bad input gets one line that says what, where and how to fix it, exit code 2, and nothing is lost.",
        tests=(
            "tests/cli/test_main.py::test_bad_input_is_one_clear_line_and_exit_code_2",
            f"{_STORE}test_a_database_from_a_newer_version_is_refused_in_one_line",
            "tests/models/test_download.py::test_a_full_disk_is_one_line_and_loses_nothing",
            "tests/models/test_download.py::test_a_wrong_hash_leaves_no_file_and_says_which",
            f"{_RUNS}test_invalid_output_three_times_is_one_clear_line",
        ),
    ),
    "models.grammar": Claim(
        source=PROMISE,
        says="Tool calls and structured answers of local models are valid by construction.",
        tests=(
            "tests/models/test_hf.py::test_a_structured_answer_is_valid_whatever_the_weights",
            "tests/models/test_hf.py::test_a_tool_call_is_valid_whatever_the_weights",
            "tests/models/test_local.py::test_tool_calls_and_structured_answers_are_valid_even_when_sampled_hot",
        ),
    ),
    "models.hash": Claim(
        source=PROMISE,
        says="A model file is used only where its hash is the catalog's, wherever it came from.",
        tests=(
            "tests/models/test_download.py::test_a_file_comes_from_the_hub_checked_and_whole",
            "tests/models/test_download.py::test_wheels_carry_the_file_where_no_hub_can_be_reached",
            "tests/models/test_download.py::test_every_entry_has_a_pinned_hash_and_a_source",
        ),
    ),
    "cli.quick": Claim(
        source=PROMISE,
        says="The overview of the command line imports none of the heavy packages.",
        tests=("tests/cli/test_main.py::test_the_overview_lists_every_command_and_imports_nothing_heavy",),
    ),
    "eval.honest": Claim(
        source=PROMISE,
        says="Failed runs count as wrong, and an evaluation started again repeats nothing that is finished.",
        tests=(
            "tests/test_evaluation.py::test_a_failed_run_counts_as_wrong_and_is_tried_again",
            "tests/test_evaluation.py::test_started_again_it_repeats_nothing_that_is_finished",
        ),
    ),
    "ace.cost": Claim(
        source=ACE,
        says="Learning from a failed run takes at most 2R+2 calls for R rounds of reflection (the paper's code: 2R+3).",
        tests=(
            f"{_LEARNER}test_a_failed_run_costs_at_most_two_calls_a_round_and_two_more",
            f"{_LEARNER}test_a_success_costs_no_call_and_votes_for_what_it_cited",
        ),
    ),
    "ace.operations": Claim(
        source=ACE,
        says="The curator adds, updates, merges and retires bullets as deltas (the paper's code only adds).",
        tests=(
            f"{_LEARNER}test_a_curator_can_update_merge_split_and_retire",
            f"{_LEARNER}test_what_is_known_already_is_not_added_again",
        ),
    ),
    "ace.votes": Claim(
        source=ACE,
        says="The reflector marks the bullets that were shown as helpful or harmful.",
        tests=(f"{_LEARNER}test_a_reflector_votes_once_a_run_and_only_for_what_was_shown",),
    ),
    "ace.online": Claim(
        source=ACE,
        says="Online learning predicts first and learns afterwards, and finds the rules that are planted.",
        tests=(
            f"{_LEARNER}test_online_learning_reaches_every_planted_rule",
            f"{_LOOP}test_online_scores_come_from_before_learning_and_harm_is_withdrawn",
        ),
    ),
    "ace.offline": Claim(
        source=ACE,
        says="Offline learning goes over the tasks in epochs and keeps the version that is best on validation.",
        tests=(
            f"{_LOOP}test_offline_learning_accepts_good_lessons_and_ends_above_its_start",
            f"{_LOOP}test_without_a_gate_the_choice_on_validation_still_brings_the_start_back",
        ),
    ),
    "agentfly.planner": Claim(
        source=AGENTFLY,
        says="A planner splits a task into sub-tasks that an executor carries out with tools, one after the other.",
        tests=(f"{_RUNS}test_a_plan_is_carried_out_sub_task_by_sub_task",),
    ),
    "agentfly.cases": Claim(
        source=AGENTFLY,
        says="Successes and failures are both kept, one case a run, and shown as what they are.",
        tests=(
            f"{_RECALL}test_successes_and_failures_have_quotas_of_their_own_and_are_shown_as_such",
            "tests/memory/test_cases.py::test_a_run_has_one_case_however_often_it_is_stored",
        ),
    ),
    "agentfly.policy": Claim(
        source=AGENTFLY,
        says="The retrieval policy learns from outcomes which cases help, and follows when that changes.",
        tests=(
            f"{_VALUE}test_the_policy_comes_close_to_the_best_cases_where_similarity_knows_nothing",
            f"{_VALUE}test_the_policy_recovers_after_the_world_changes",
            f"{_VALUE}test_where_memory_never_helps_it_costs_less_than_two_points",
        ),
    ),
    "training.exact": Claim(
        source=PROMISE,
        says="A training killed while it collects, trains, exports or is tested makes the very adapter all the same.",
        tests=(
            "tests/training/test_kills.py::test_the_adapter_is_that_of_an_undisturbed_training",
            "tests/training/test_lora.py::test_the_same_seed_makes_the_same_file_and_another_makes_another",
        ),
    ),
    "training.reversible": Claim(
        source=PROMISE,
        says="A rejected adapter leaves the served model as it was bit by bit; an accepted one can be taken back.",
        tests=(
            "tests/training/test_training.py::test_a_gate_that_rejects_leaves_the_served_model_as_it_was_bit_by_bit",
            "tests/training/test_training.py::test_an_accepted_adapter_answers_daily_runs_until_it_is_rolled_back",
        ),
    ),
    "training.forget": Claim(
        source=PROMISE,
        says="Forgetting a source makes the very adapter that never learned from it, and deletes those that did.",
        tests=(
            "tests/training/test_upkeep.py::test_forgetting_makes_the_very_adapter_that_never_learned_from_it",
            "tests/training/test_upkeep.py::test_what_came_from_a_source_is_trained_out_and_what_learned_from_it_is_deleted",
        ),
    ),
    "duo.order": Claim(
        source=LLM_DUO,
        says="Concepts are visited breadth first, by out-degree over in-degree, from every root (the paper: from one).",
        tests=(f"{_PLAN}test_the_order_is_breadth_first_by_out_per_in_triples_from_every_root",),
    ),
    "duo.context": Claim(
        source=LLM_DUO,
        says="A question is asked in the context of the visited concepts within k hops, the nearest first.",
        tests=(
            f"{_PLAN}test_the_context_is_the_visited_concepts_within_k_hops_nearest_first",
            f"{_PLAN}test_each_triple_is_asked_once_and_only_when_both_ends_were_reached",
        ),
    ),
    "duo.evaluator": Claim(
        source=LLM_DUO,
        says="An evaluator checks each finding; it sees the quote in its text (the paper's sees no document).",
        tests=(f"{_CURATE}test_the_evaluator_sees_the_quote_in_its_text_and_can_veto",),
    ),
    "duo.evidence": Claim(
        source=LLM_DUO,
        says="A claim stands only with a quote that is in the paper to the letter (the paper stores no offsets).",
        tests=(
            f"{_CURATE}test_a_quote_that_is_not_in_the_paper_makes_the_claim_unsupported",
            f"{_EVIDENCE}test_an_altered_or_cut_quote_is_not_found",
            f"{_EVIDENCE}test_a_claim_that_says_more_than_its_quote_is_unsupported",
        ),
    ),
}


def claims_of(test: str) -> list[str]:
    """The claims that a test holds."""
    return [name for name, claim in CLAIMS.items() if test in claim.tests]
