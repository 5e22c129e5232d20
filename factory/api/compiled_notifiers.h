// factory/api/compiled_notifiers.h -- the jq of notifiers is compiled before they are saved. Private to factory/api.
#pragma once

#include <functional>
#include <vector>

#include "factory/api/service.h"
#include "factory/resources/resource.h"

namespace mill::factory {

struct NotFitting {
    std::size_t index = 0;   ///< in the list given
    Error error;
};
/// Calls `then` with those whose jq does not compile: at once when none has any, else on a thread of the evaluator. When this machine can compile
/// nothing the call is answered here, and `then` is not called.
void with_compiled(Service& service, const CallPtr& call, std::vector<ResourceDocument> notifiers, std::function<void(std::vector<NotFitting>)> then);

}  // namespace mill::factory
