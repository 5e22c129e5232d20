// agent/keeper/messages.h -- what agent, broker and keeper say to each other: lists of strings, no JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"

namespace mill::keeper {

/// The keeper starts `millwright-agent serve` and `millwright-broker`, each with its channel to the keeper as descriptor 3. As
/// descriptor 4 the agent gets one with a message ID KEY [ID KEY …], when keys are sealed to this machine; MILLWRIGHT_KEYS says so.
///
/// agent → keeper
///   start KEY SPEC        SPEC as encode(SandboxRequest). Starts the runner, or takes one that was started ahead for this very SPEC;
///                         descriptors 3 (job) and 4 (effects) inside.
///   warm SPEC COUNT       so many runners are held ready for SPEC from now on; 0: none
///   time KEY MS           so much is left of its time limit, from now on (what it waits for people does not count)
///   kill KEY              SIGKILL of the tree
///   forget KEY            its end was written to the journal
///   list                  asks for `held` of every runner that is not forgotten
///   broker                asks for a (new) channel to the broker
///   ready TEXT            the service is up: told to the service manager; `status TEXT` likewise
///   isolation             asks for `isolation`
///   credentials           asks for `credentials`
///   seal ID KEY           the key of the agent at factory ID, which was sealed before, is another one: asks for `sealed`
///   alive                 every loop of the agent goes on; an agent that said it once and then is silent for a minute is started again
///   renew                 the programs on disk are newer: the keeper takes its own place as soon as nothing runs
///   stop                  end of the service: the keeper kills what is left, ends the broker and exits 0 when the agent has ended
/// keeper → agent
///   started KEY NONCE [note…]   with the job channel; the runner's `ready` says the same NONCE
///   refused KEY CODE WHY  CODE is an Errc name
///   ended KEY EXIT SIGNAL FLAGS CPU_MS PEAK_BYTES    FLAGS: "", "memory", "cpu", "time", "killed";
///                         behind it TEXT, the first 4 KiB of its standard error (outside text)
///   held KEY              with the job channel (running), followed by `ended` when it has ended already
///   before WHY            how the agent before this one ended, when it was not asked to; behind the list's `held`
///   listed                end of the list
///   reload                somebody asked the keeper (SIGHUP) that the settings be read again
///   again                 nothing runs and newer programs wait: end with kAgain as soon as that is so for the agent, too; said once
///   broker                with the channel to the broker; also unasked, when a new broker was started
///   isolation USERNS SECCOMP MEMORY PROCESSES LANDLOCK PROBLEM PROC NESTING UID SERVICES   0 or 1, 0 or 1, words and number of
///                         platform/sandbox.h; UID "shared" (all sandboxes are this user's) or "separate"; SERVICES, whose agent and
///                         broker are: "separate" (each its own user's), "shared" (this user's) or "root"
///   sealed ID [WHY]       its key is sealed; WHY: it is not
///   credentials [NAME…]   of those that lie on this machine and can be used
/// broker → keeper
///   credential NAME       asks for one that this machine holds
/// keeper → broker
///   agent                 with a channel to the agent; replaces the one before
///   attach KEY            with the effect channel of a runner; `attach KEY again` to a new broker
///   detach KEY            the runner has ended
///   credential NAME       with its file, opened; or `credential NAME CODE WHY`, CODE is an Errc name
using Words = std::vector<std::string>;

/// Exit code of an agent that wants to be started again at once: settings or programs are new. Its jobs go on.
constexpr int kAgain = 75;

/// Says to the agent that keys were handed over, and as which descriptor.
inline constexpr const char* kKeysVariable = "MILLWRIGHT_KEYS";
/// KEY: the private half of an agent's key, 32 bytes in base64.
bool is_key(std::string_view text);

std::string encode(const Words& words);
/// Errors: corrupt. At most 4096 words.
Result<Words> decode(std::string_view bytes);

struct SandboxRequest {
    std::string package_path;            ///< mounted read-only as /package.mwp
    std::vector<std::string> read, write;  ///< granted paths, mounted at the same place, when commands are granted
    bool commands = false;
    std::uint64_t memory = 0, cpu_ms = 0, time_ms = 0, processes = 0, output = 0;
    bool limits_stated = false;
    bool bridge = false;  ///< with `commands`: they ask for the network at a listener that the runner hands to the broker
    std::string user = {};                 ///< whom it runs as; empty: the usual one
};
std::string encode(const SandboxRequest& request);
Result<SandboxRequest> decode_request(std::string_view bytes);

}  // namespace mill::keeper
