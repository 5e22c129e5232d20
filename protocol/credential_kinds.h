// protocol/credential_kinds.h -- what the values of each kind of credential are, wherever they are held.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace mill::protocol {

bool is_credential_kind(std::string_view kind);

/// What is wrong with the values (MEMBER → text) of a credential of that kind: each a text that goes on from "the value", such as
/// "lacks 'password', which kind login needs". Never with a value in it.
std::vector<std::string> credential_mistakes(std::string_view kind, const Json& values);

struct MachineCredential {
    Json values;                     ///< MEMBER → text
    std::vector<std::string> hosts;  ///< it may go nowhere else, whatever the factory says; empty: as the factory says
    bool reveal = false;             ///< jobs that were granted it may have the value in plain
};
/// A credential that a machine holds, as its file says it: the members of its kind, and perhaps `kind` (which must be the same), `hosts` and `reveal: true`.
/// `kind` empty: any. Errors: invalid, without a value in it.
Result<MachineCredential> read_machine_credential(std::string_view kind, const Json& document);

}  // namespace mill::protocol
