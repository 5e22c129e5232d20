#include "cli/commands/commands.h"

namespace mill::cli {

const std::vector<Command>& all_commands()
{
    static const std::vector<Command> commands = {
        run_command_entry(),         check_command(),         pack_command(),
        publish_command(),           deploy_command(),        apply_command(),
        get_command(),               trigger_command(),       triggers_command(),
        triggers_show_command(),     triggers_token_command(), jobs_command(),
        show_command(),              why_command(),           timeline_command(),
        logs_command(),              steps_command(),         cancel_command(),
        retry_command(),             deliveries_command(),    deliveries_resend_command(),
        notifiers_command(),         notifiers_test_command(), credentials_command(),
        credentials_list_command(),  credentials_set_command(), agents_command(),
        agents_invite_command(),     agents_set_command(),    packages_command(),
        login_command(),             doctor_command(),        version_command(),
    };
    return commands;
}

}  // namespace mill::cli
