// factory/core/queue.h -- the writer thread: takes what arrived during the last commit and makes it one commit. factory/core/ only.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "factory/core_values.h"
#include "factory/store/writer.h"
#include "platform/base/mailbox.h"

namespace mill::factory::core {

/// What the owner of the queue does around the operations of one commit, on the writer thread.
class Committing {
public:
    virtual ~Committing() = default;
    virtual void committed() = 0;                    ///< after the commit, after the answers
    /// Nothing of the batch holds: everything in memory must be read again.
    virtual void lost(const Error& error) = 0;
};

class WriteQueue {
public:
    WriteQueue(Writer& writer, Committing& owner) : writer_(writer), owner_(owner) {}
    ~WriteQueue() { stop(); }

    void start();
    /// Executes what was queued, then ends the thread. Later operations are answered with unavailable.
    void stop();

    /// `body` runs on the writer thread within a transaction; what it wrote is undone when it returns an error. `done` runs after the
    /// commit. A body that changes memory does so only where nothing can fail any more; errors of the store lead to Committing::lost.
    template <class T>
    void submit(Done<T> done, std::function<Result<T>()> body)
    {
        auto op = std::make_shared<Typed<T>>();
        op->done = std::move(done);
        op->body = std::move(body);
        push(std::move(op));
    }

private:
    struct Op {
        virtual ~Op() = default;
        virtual const Error* run() = 0;              ///< nullptr: well
        virtual void finish(const Error* commit) = 0;
        virtual void refuse(const Error& why) = 0;   ///< without having run; on the caller's thread
    };
    template <class T>
    struct Typed final : Op {
        Done<T> done;
        std::function<Result<T>()> body;
        Result<T> result = fail(Errc::internal, "not run");
        const Error* run() override
        {
            result = body();
            return result ? nullptr : &result.error();
        }
        void finish(const Error* commit) override
        {
            if (commit && result) result = fail(*commit);
            if (done) done(std::move(result));
        }
        void refuse(const Error& why) override
        {
            if (done) done(fail(why));
        }
    };
    void push(std::shared_ptr<Op> op);
    void loop();
    void execute(std::vector<std::shared_ptr<Op>>& batch);

    static constexpr std::size_t kMostWaiting = 100'000;   // then answers are "overloaded"
    static constexpr std::size_t kMostTogether = 512;

    Writer& writer_;
    Committing& owner_;
    Mailbox<std::shared_ptr<Op>> box_{kMostWaiting};
    std::jthread thread_;
};

}  // namespace mill::factory::core
