#include "factory/api/compiled_notifiers.h"

#include <fmt/format.h>

#include "factory/api/checks.h"

namespace mill::factory {
namespace {

/// One notifier after the other; lives in the callbacks.
struct Compilation : std::enable_shared_from_this<Compilation> {
    Compilation(Service& the_service, CallPtr the_call) : service(the_service), call(std::move(the_call)) {}
    Service& service;
    CallPtr call;
    std::vector<ResourceDocument> notifiers;
    std::function<void(std::vector<NotFitting>)> then;
    std::vector<NotFitting> wrong;
    std::size_t next = 0;

    void step()
    {
        if (next == notifiers.size() || !service.options.compile_notifier) return then(std::move(wrong));
        const bool taken = service.options.compile_notifier(notifiers[next].spec, [self = shared_from_this()](const Status& compiled) { self->done(compiled); });
        if (!taken) reply_checks_full(*call);
    }

    void done(const Status& compiled)
    {
        const std::string what = fmt::format("Notifier '{}'", notifiers[next].name);
        if (!compiled && (compiled.error().code == Errc::unavailable || compiled.error().code == Errc::cancelled))
            return reply_unchecked(*call, "the jq of " + what, compiled.error(), 400, "template");
        if (!compiled) wrong.push_back({next, {Errc::invalid, fmt::format("{}: {}", what, compiled.error().what)}});
        ++next;
        step();
    }
};

}  // namespace

void with_compiled(Service& service, const CallPtr& call, std::vector<ResourceDocument> notifiers, std::function<void(std::vector<NotFitting>)> then)
{
    auto compilation = std::make_shared<Compilation>(service, call);
    compilation->notifiers = std::move(notifiers);
    compilation->then = std::move(then);
    compilation->step();
}

}  // namespace mill::factory
