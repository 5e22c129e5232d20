// agent/person/told.h -- how a call of a face ended: its answer, or why not, in words and as a code.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace mill::agent {

/// 200 and what the route answers; else {code, detail, mistakes?, by?}.
struct Told {
    int status = 200;
    Json body = Json::object({});
};
using Tell = std::function<void(Told)>;

/// `code` is for faces of any language: studio/beside/messages has its words as "why.CODE"; `detail` is English.
inline Told told_no(int status, std::string_view code, std::string detail)
{
    return {status, Json::object({{"code", std::string(code)}, {"detail", std::move(detail)}})};
}

}  // namespace mill::agent
