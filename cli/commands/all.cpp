#include "cli/commands/commands.h"

namespace mill::cli {

const std::vector<Command>& all_commands()
{
    static const std::vector<Command> commands = {
        new_command(), run_command_entry(), check_command(), test_command(), pack_command(), sign_command(), publish_command(), deploy_command(),
        apply_command(), get_command(), delete_command(), trigger_command(), triggers_command(),
        triggers_show_command(), triggers_schedule_command(), triggers_token_command(), triggers_pause_command(), triggers_resume_command(),
        jobs_command(), show_command(), why_command(), locks_command(), timeline_command(), logs_command(), steps_command(),
        cancel_command(), retry_command(), questions_command(), questions_list_command(), questions_show_command(), questions_answer_command(),
        deliveries_command(), deliveries_resend_command(), notifiers_command(),
        notifiers_show_command(), notifiers_resume_command(), notifiers_test_command(), credentials_command(), credentials_list_command(), credentials_set_command(),
        agents_command(), agents_show_command(), agents_invite_command(), agents_requests_command(), agents_admit_command(), agents_refuse_command(), agents_set_command(), packages_command(), packages_sign_command(), packages_verify_command(), keys_command(), keys_new_command(),
        packages_release_command(), packages_deprecate_command(), packages_decommission_command(), deployments_command(), deployments_check_command(), deployments_history_command(),
        deployments_promote_command(), deployments_rollback_command(), activities_command(), schema_command(),
        tokens_command(), tokens_create_command(), tokens_revoke_command(), tokens_rotate_command(), can_command(), audit_command(), audit_verify_command(), environments_key_command(), environments_release_command(),
        login_command(), metrics_command(), retention_command(), doctor_command(), canary_command(), version_command(),
    };
    return commands;
}

}  // namespace mill::cli
