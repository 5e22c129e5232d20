#include "agent/companion/errands.h"

namespace mill::companion {

bool Errands::begin(std::function<Then()> work)
{
    under_way_.remove_if([](const One& one) { return one.over.load(); });
    if (under_way_.size() >= kMost) return false;
    One& one = under_way_.emplace_back();
    one.thread = std::jthread([this, &one, work = std::move(work)] {
        (void)done_.try_send(work());
        one.over = true;
        wake_.ring();
    });
    return true;
}

void Errands::finish()
{
    for (const Then& then : done_.drain())
        if (then) then();
    under_way_.remove_if([](const One& one) { return one.over.load(); });
}

}  // namespace mill::companion
