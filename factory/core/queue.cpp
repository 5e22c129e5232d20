#include "factory/core/queue.h"

#include "platform/base/log.h"

namespace mill::factory::core {

void WriteQueue::start()
{
    thread_ = std::jthread([this] { loop(); });
}

void WriteQueue::stop()
{
    box_.close();
    if (thread_.joinable()) thread_.join();
}

void WriteQueue::push(std::shared_ptr<Op> op)
{
    if (box_.try_send(op)) return;   // a copy: what the mailbox refuses is still ours to answer
    const Error refused{Errc::unavailable, "the factory is stopping or has too much to write: try again"};
    op->refuse(refused);
}

void WriteQueue::loop()
{
    while (auto first = box_.receive()) {
        std::deque<std::shared_ptr<Op>> rest = box_.drain();
        rest.push_front(std::move(*first));
        std::vector<std::shared_ptr<Op>> batch;
        while (!rest.empty()) {
            while (!rest.empty() && batch.size() < kMostTogether) {
                batch.push_back(std::move(rest.front()));
                rest.pop_front();
            }
            execute(batch);
            batch.clear();
        }
    }
}

void WriteQueue::execute(std::vector<std::shared_ptr<Op>>& batch)
{
    Status status = writer_.begin();
    for (auto& op : batch) {
        if (!status) break;
        if (status = writer_.savepoint(); !status) break;
        const Error* wrong = op->run();
        if (!wrong) {
            status = writer_.release();
            continue;
        }
        writer_.rollback_to_savepoint();
        // These come from the disk or from us, perhaps in the middle of a change to memory: the whole batch is given up.
        if (wrong->code == Errc::unavailable || wrong->code == Errc::corrupt || wrong->code == Errc::internal) status = fail(*wrong);
    }
    if (status) status = writer_.commit();
    if (!status) {
        writer_.rollback();
        log::error("store", "a commit of {} operations failed: {}", batch.size(), status.error().what);
        owner_.lost(status.error());
    }
    for (auto& op : batch) op->finish(status ? nullptr : &status.error());
    if (status) owner_.committed();
}

}  // namespace mill::factory::core
