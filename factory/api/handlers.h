// factory/api/handlers.h -- the handlers that the route table names, by the file they are in.
#pragma once

#include "factory/api/routes.h"
#include "factory/api/service.h"

namespace mill::factory::handler {

// console.cpp
void console_page(Service&, const CallPtr&);
void console_file(Service&, const CallPtr&);
// resources.cpp
void list_resources(Service&, const CallPtr&);
void get_resource(Service&, const CallPtr&);
void put_resource(Service&, const CallPtr&);
void delete_resource(Service&, const CallPtr&);
void apply(Service&, const CallPtr&);
void rollback_deployment(Service&, const CallPtr&);
// deployments.cpp
void promote_deployment(Service&, const CallPtr&);
void preflight(Service&, const CallPtr&);
void why_deployment(Service&, const CallPtr&);
void deployment_history(Service&, const CallPtr&);
// packages.cpp
void put_package(Service&, const CallPtr&);
void list_packages(Service&, const CallPtr&);
void list_versions(Service&, const CallPtr&);
void get_package(Service&, const CallPtr&);
void sign_package(Service& service, const CallPtr& call);
void set_package_state(Service&, const CallPtr&);
void get_archive(Service&, const CallPtr&);
// credentials.cpp
void put_credential(Service&, const CallPtr&);
void list_credentials(Service&, const CallPtr&);
void get_credential(Service&, const CallPtr&);
void delete_credential(Service&, const CallPtr&);
// tokens.cpp
void make_token(Service&, const CallPtr&);
void list_tokens(Service&, const CallPtr&);
void delete_token(Service&, const CallPtr&);
void trigger_tokens(Service&, const CallPtr&);
void make_trigger_token(Service&, const CallPtr&);
void make_environment_key(Service&, const CallPtr&);
void rotate_token(Service&, const CallPtr&);
void session(Service&, const CallPtr&);
// runs.cpp
void run_trigger(Service&, const CallPtr&);
void run_sap_trigger(Service&, const CallPtr&);
void run_sap_runtime(Service&, const CallPtr&);
// chat_calls.cpp
void chat_call(Service&, const CallPtr&);
// triggers.cpp
void pause_trigger(Service&, const CallPtr&);
void resume_trigger(Service&, const CallPtr&);
void trigger_calls(Service&, const CallPtr&);
// schedules.cpp
void trigger_schedule(Service&, const CallPtr&);
void trigger_firings(Service&, const CallPtr&);
// jobs.cpp
void list_jobs(Service&, const CallPtr&);
void get_job(Service&, const CallPtr&);
void timeline(Service&, const CallPtr&);
void why(Service&, const CallPtr&);
void why_trigger(Service&, const CallPtr&);
void why_environment(Service&, const CallPtr&);
void release_environment(Service&, const CallPtr&);
void list_holds(Service&, const CallPtr&);
void why_all(Service&, const CallPtr&);
void list_locks(Service&, const CallPtr&);        // locks.cpp

void publish_metrics(Service&, const CallPtr&);   // metrics.cpp
void list_metrics(Service&, const CallPtr&);
void get_metric(Service&, const CallPtr&);
void agent_read_metric(Service&, const CallPtr&);
void retention(Service&, const CallPtr&);
void cancel(Service&, const CallPtr&);
void retry(Service&, const CallPtr&);
// job_records.cpp
void job_log(Service&, const CallPtr&);
void job_steps(Service&, const CallPtr&);
// questions.cpp
void list_questions(Service&, const CallPtr&);
void get_question(Service&, const CallPtr&);
void answer_question(Service&, const CallPtr&);
// hooks.cpp
void hook(Service&, const CallPtr&);
// deliveries.cpp
void job_deliveries(Service&, const CallPtr&);
void list_deliveries(Service&, const CallPtr&);
void get_delivery(Service&, const CallPtr&);
void resend(Service&, const CallPtr&);
void resend_job(Service&, const CallPtr&);
void resend_matching(Service&, const CallPtr&);
// notifiers.cpp
void test_notifier(Service&, const CallPtr&);
void why_notifier(Service&, const CallPtr&);
void resume_notifier(Service&, const CallPtr&);
// agents.cpp
void list_agents(Service&, const CallPtr&);
void get_agent(Service&, const CallPtr&);
void patch_agent(Service&, const CallPtr&);
void delete_agent(Service&, const CallPtr&);
void invite(Service&, const CallPtr&);
void list_invitations(Service&, const CallPtr&);
// admissions.cpp
void list_admissions(Service&, const CallPtr&);
void admit(Service&, const CallPtr&);
void refuse_admission(Service&, const CallPtr&);
void ask_admission(Service&, const CallPtr&);
void poll_admission(Service&, const CallPtr&);
// agent_identity.cpp
void enrol(Service&, const CallPtr&);
void agent_token(Service&, const CallPtr&);
void agent_key(Service&, const CallPtr&);
// agent_side.cpp
void agent_proof(Service&, const CallPtr&);
void agent_session(Service&, const CallPtr&);
void offers(Service&, const CallPtr&);
void agent_events(Service&, const CallPtr&);
void leases(Service&, const CallPtr&);
void agent_log(Service&, const CallPtr&);
void get_agent_log(Service&, const CallPtr&);
void goodbye(Service&, const CallPtr&);
// agent_ask.cpp
void agent_ask(Service&, const CallPtr&);

// agent_doctor.cpp
void ask_doctor(Service&, const CallPtr&);
void get_doctor(Service&, const CallPtr&);
void agent_doctor(Service&, const CallPtr&);
void run_canary(Service&, const CallPtr&);
// agent_person.cpp
void agent_person(Service&, const CallPtr&);
void agent_launch(Service&, const CallPtr&);
void agent_answer(Service&, const CallPtr&);
void agent_cancel(Service&, const CallPtr&);
// agent_files.cpp
void agent_file(Service&, const CallPtr&);
void agent_watches(Service&, const CallPtr&);
// agent_sessions.cpp
void agent_join(Service&, const CallPtr&);
// attempt_side.cpp
void agent_package(Service&, const CallPtr&);
void agent_credentials(Service&, const CallPtr&);
void agent_sealed_credentials(Service&, const CallPtr&);
// watch.cpp
void events(Service&, const CallPtr&);
void healthz(Service&, const CallPtr&);
void readyz(Service&, const CallPtr&);
void metrics(Service&, const CallPtr&);
// can.cpp
void can(Service&, const CallPtr&);
// oauth.cpp
void oauth_token(Service&, const CallPtr&);
// audit.cpp
void audit(Service&, const CallPtr&);
void verify_audit(Service&, const CallPtr&);
// openapi.cpp
void openapi(Service&, const CallPtr&);

}  // namespace mill::factory::handler
