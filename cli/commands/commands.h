// cli/commands/commands.h -- every command, each made in the file of its name.
#pragma once

#include "cli/command.h"

namespace mill::cli {

Command new_command();
Command run_command_entry();
Command check_command();
Command test_command();
Command pack_command();
Command publish_command();
Command sign_command();
Command keys_new_command();
Command keys_command();
Command deploy_command();
Command apply_command();
Command get_command();
Command delete_command();
Command trigger_command();
Command triggers_command();
Command triggers_show_command();
Command triggers_schedule_command();
Command triggers_token_command();
Command triggers_pause_command();
Command triggers_resume_command();
Command jobs_command();
Command show_command();
Command why_command();
Command timeline_command();
Command logs_command();
Command steps_command();
Command canary_command();
Command cancel_command();
Command retry_command();
Command deliveries_command();
Command deliveries_resend_command();
Command notifiers_command();
Command notifiers_show_command();
Command notifiers_resume_command();
Command notifiers_test_command();
Command credentials_command();
Command credentials_list_command();
Command credentials_set_command();
Command agents_command();
Command agents_invite_command();
Command agents_requests_command();
Command agents_admit_command();
Command agents_refuse_command();
Command agents_set_command();
Command agents_show_command();
Command packages_command();
Command packages_sign_command();
Command packages_verify_command();
Command packages_release_command();
Command packages_deprecate_command();
Command packages_decommission_command();
Command deployments_command();
Command deployments_check_command();
Command deployments_history_command();
Command deployments_rollback_command();
Command activities_command();
Command schema_command();
Command tokens_command();
Command tokens_create_command();
Command tokens_revoke_command();
Command environments_key_command();
Command environments_release_command();
Command login_command();
Command doctor_command();
Command version_command();

}  // namespace mill::cli
