#include "factory/chat/mapping.h"

#include <catch2/catch.hpp>

using namespace mill;
using namespace mill::factory;
using Catch::Contains;

namespace {

const Json& neutral()
{
    static const Json value = *parse_json(R"({"text":"order 4711","user":{"id":"u-1","name":"Ada"},"conversation":"c-1","platform":"slack",
                                             "memory":{"a b":[{"x":7}],"n":12},"entities":{"order":"4711"}})");
    return value;
}

std::string made(const Json& written)
{
    const auto out = chat_input(written, neutral());
    if (!out) FAIL(out.error().what);
    return dump_json(*out);
}

std::string refused(const Json& written)
{
    const auto out = chat_input_template(written);
    REQUIRE_FALSE(out);
    CHECK(out.error().code == Errc::invalid);
    return out.error().what;
}

}  // namespace

TEST_CASE("an input is an object of templates, or the same as one jq object", "[factory][chat][mapping]")
{
    CHECK(made(*parse_json(R"({"order":"${ .entities.order }","say":"you said ${ .text }","all":"${ .memory }"})")) ==
          R"({"order":"4711","say":"you said order 4711","all":{"a b":[{"x":7}],"n":12}})");
    CHECK(made("${ {order: .text} }") == R"({"order":"order 4711"})");
    CHECK(made(R"T(${ {"order": .entities.order, who: "\(.user.name) (\(.user.id))", n: .memory.n, deep: {x: .memory["a b"][0].x, list: [1, -2.5, true, null, "a}b"]}} })T") ==
          R"T({"order":"4711","who":"Ada (u-1)","n":12,"deep":{"x":7,"list":[1,-2.5,true,null,"a}b"]}})T");
    CHECK(made("${ {} }") == "{}");
}

TEST_CASE("what was not said is left out of the input", "[factory][chat][mapping]")
{
    CHECK(made("${ {order: .entities.order, date: .entities.date, deep: {a: .memory.none}} }") == R"({"order":"4711","deep":{}})");
}

TEST_CASE("what needs jq is refused when the trigger is saved, with what is possible", "[factory][chat][mapping]")
{
    CHECK_THAT(refused("${ .text }"), Contains("makes no object"));
    CHECK_THAT(refused("hello"), Contains("must be an object"));
    CHECK_THAT(refused(Json::array()), Contains("must be an object"));
    CHECK_THAT(refused("${ {order: .text | ascii_downcase} }"), Contains("is supported here"));
    CHECK_THAT(refused("${ {order: env.HOME} }"), Contains("is supported here"));
    CHECK_THAT(refused("${ {order: .output} }"), Contains("there is no such member") && Contains(".entities"));
    CHECK_THAT(refused("${ {order: .text, order: .text} }"), Contains("stands twice"));
    CHECK_THAT(refused("${ {order: \"open} }"), Contains("not closed"));
    CHECK_THAT(refused("${ {order: .text} .text }"), Contains("behind the object"));
    refused("${ {order .text} }");
    refused("${ {order: } }");
    refused("${ {order: .text }");
    const Json nested(R"(${ {a: )" + std::string(30, '[') + "1" + std::string(30, ']') + "} }");
    CHECK_THAT(refused(nested), Contains("within each other"));
    CHECK_THAT(refused(*parse_json(R"({"a":{"b":"${ .job.uid }"}})")), Contains("/a/b"));
}

TEST_CASE("a reply knows the job, too", "[factory][chat][mapping]")
{
    CHECK(*chat_reply("Looking for ${ .entities.order } as ${ .job.uid }.${ .job.waitingFor }", neutral(), "j-1", "") == "Looking for 4711 as j-1.");
    CHECK(*chat_reply("${ .job.waitingFor }", neutral(), "j-1", "no agent is online") == "no agent is online");
    CHECK_FALSE(check_chat_reply("${ .output.reply }"));
    CHECK_FALSE(check_chat_reply("${ .text"));
}
