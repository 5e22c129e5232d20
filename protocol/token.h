// protocol/token.h -- tokens: mw_KIND_ID_SECRET. Found by ID, stored as SHA-256 of the whole, shown once.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::protocol {

struct Token {
    std::string kind;   ///< admin, user, trigger, env, agent (session), attempt, code (enrolment)
    std::string id;     ///< 12 characters [a-z0-9]; not secret
    std::string text;   ///< the whole token; secret (256 random bits behind the last '_')
};

Token make_token(std::string_view kind);
/// Errors: invalid (not of the form); nothing is said about the secret part in the error.
Result<Token> parse_token(std::string_view text);

}  // namespace mill::protocol
