// agent/companion/deed.h -- what a click on a face asks for.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace mill::companion {

struct Deed {
    std::string target = {};             ///< a route of DIR/person, for POST; empty: a page is opened
    Json body = Json::object({});
    std::string what = {}, id = {};      ///< the page: launcher, question, consent, history or job
    bool operator==(const Deed&) const = default;
};

inline Deed open_page(std::string what, std::string id = "") { return {"", Json(), std::move(what), std::move(id)}; }
inline Deed post(std::string target, Json body = Json::object({})) { return {std::move(target), std::move(body), "", ""}; }

}  // namespace mill::companion
