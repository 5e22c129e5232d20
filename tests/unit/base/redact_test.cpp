#include <catch2/catch.hpp>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/base/text.h"

using namespace mill;

namespace {

/// What the log writes while `work` runs.
template <class Work> std::string logged(Work work)
{
    std::FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    std::fflush(stderr);
    const int before = dup(2);
    dup2(fileno(file), 2);
    work();
    std::fflush(stderr);
    dup2(before, 2);
    close(before);
    std::string text(4096, '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
}

}  // namespace

TEST_CASE("a secret is masked in every spelling, also in the middle of other text", "[base][redact]")
{
    Redactor redactor;
    const std::string secret = "pa\"ss/w\xC3\xB6rd";
    redactor.add(secret);
    for (const std::string& text : {"x" + secret + "y", std::string("{\"p\":\"pa\\\"ss/w\xC3\xB6rd\"}"), "u?p=" + percent_encode(secret), "b " + to_base64(secret), "b " + to_base64url(secret),
                                    to_base64("user:" + secret), to_base64("ab" + secret + "tail"), to_base64("a" + secret)}) {
        const std::string shown = redactor.apply(text);
        INFO(text << " -> " << shown);
        CHECK(shown.find("***") != std::string::npos);
        CHECK(shown.find(secret) == std::string::npos);
        CHECK(shown.find(percent_encode(secret)) == std::string::npos);
    }
    CHECK(redactor.apply("nothing here") == "nothing here");
}

TEST_CASE("base64 of either alphabet hides no secret, wherever in the longer text it stands", "[base][redact]")
{
    const std::string secret = GENERATE(as<std::string>(), "a?>b", "?>?>?", "~~~~~~", "\xff\xfe\xfd\xfc", "hunter2", "correct horse battery staple");
    Redactor redactor;
    REQUIRE(redactor.add(secret));
    for (const std::string before : {"", "x", "xy", "xyz", "user:"}) {
        for (const std::string after : {"", "1", "12", "123"}) {
            for (const bool url : {false, true}) {
                const std::string text = url ? to_base64url(before + secret + after) : to_base64(before + secret + after);
                std::size_t masked = 0;
                const std::string shown = redactor.apply("<" + text + ">", masked);
                CAPTURE(secret, text, shown);
                CHECK(masked == 1);
                // Not even the bits that share a character with a neighbour's are left.
                CHECK(shown.size() <= 2 + 3 + before.size() / 3 * 4 + 1 + after.size() / 3 * 4 + 4 + 2);
                CHECK(shown.find("***=") == std::string::npos);
            }
        }
    }
}

TEST_CASE("what URIs, forms and JSON make of a secret is masked", "[base][redact]")
{
    Redactor redactor;
    redactor.add("p\"a/s?s w\xC3\xB6rd\\+9");
    redactor.add("\xF0\x9F\x94\x91-key");
    redactor.add("100%25 sure");
    redactor.add("\\\\share\\c$");
    for (const std::string& text : {
             std::string("p%22a%2Fs%3Fs%20w%C3%B6rd%5C%2B9"), std::string("p%22a%2fs%3fs%20w%c3%b6rd%5c%2b9"),  // percent, in either case
             std::string("p%22a/s?s%20w%C3%B6rd%5C%2B9"), std::string("p\"a/s?s%20w\xC3\xB6rd\\+9"),           // in part
             std::string("p%22a%2Fs%3Fs+w%C3%B6rd%5C%2B9"), std::string("p%2522a%252Fs%253Fs%2520w%25C3%25B6rd%255C%252B9"),  // a form; twice
             std::string("p\\\"a\\/s?s w\xC3\xB6rd\\\\+9"), std::string("p\\\"a/s?s w\xC3\xB6rd\\\\+9"),
             std::string("p\\u0022a\\u002Fs?s w\\u00f6rd\\\\+9"), std::string("\\u0070\\u0022\\u0061/s?s w\\u00F6rd\\u005c+9"),
             std::string("p\\\\\\\"a/s?s w\xC3\xB6rd\\\\\\\\+9"), std::string("p\\\\u0022a/s?s w\\\\u00f6rd\\\\u005C+9"),  // JSON in JSON
             std::string("\\ud83d\\udd11-key"), std::string("\\uD83D\\uDD11\\u002dkey"), std::string("%F0%9F%94%91-key"),
             std::string("100%25 sure"), std::string("100%2525+sure"), std::string("\\\\share\\c$"), std::string("\\\\\\\\share\\\\c$")}) {
        CAPTURE(text);
        CHECK(redactor.apply(text) == "***");
        CHECK(redactor.apply("{\"a\":\"" + text + "\"}") == "{\"a\":\"***\"}");
    }
    for (const char* other : {"p%22a%2Fs", "p%2", "p\\u00", "p\\", "100%", "\\ud83d\\udd12-key", "%ZZ\\u00zz\\x", "p+a/s?s w"}) {
        CAPTURE(other);
        CHECK(redactor.apply(other) == other);
    }
}

TEST_CASE("what was masked is counted, and secrets that overlap are one", "[base][redact]")
{
    Redactor redactor;
    redactor.add("first-secret");
    redactor.add("secret-second");
    redactor.add("aaaa");
    std::size_t masked = 0;
    CHECK(redactor.apply("a first-secret, first-secret-second, aaaaaaab mw_user_0123456789ab_0123456789abcdef0123", masked) == "a ***, ***, ***b mw_user_0123456789ab_***");
    CHECK(masked == 4);
    CHECK(redactor.apply("nothing", masked) == "nothing");
    CHECK(masked == 4);
}

TEST_CASE("a copy that learns more leaves the other as it was", "[base][redact]")
{
    Redactor one;
    one.add("hunter2");
    Redactor two = one;
    two.add("swordfish");
    CHECK(one.apply("hunter2 swordfish") == "*** swordfish");
    CHECK(two.apply("hunter2 swordfish") == "*** ***");
}

TEST_CASE("a secret that comes in pieces is masked wherever it is cut", "[base][redact]")
{
    Redactor redactor;
    redactor.add("p\"ss/w\xC3\xB6rd");
    redactor.add("\"ss/what");
    redactor.add("m\\\\m");
    for (const std::string& text : {std::string("a p\"ss/w\xC3\xB6rd b"), std::string("a p%22ss%2Fw%C3%B6rd b"), std::string("[\"p\\u0022ss\\/w\\u00f6rd\"]"), to_base64("xy:p\"ss/w\xC3\xB6rd--"),
                                    std::string("p\"ss/what"), std::string("m\\\\m mw_user_0123456789ab_0123456789abcdef0123 p\"s"), std::string("no secret m")}) {
        const std::string whole = redactor.apply(text);
        for (std::size_t first = 0; first <= text.size(); ++first) {
            for (std::size_t second = first; second <= text.size(); ++second) {
                RedactedStream stream(redactor);
                std::string shown = stream.add(text.substr(0, first));
                shown += stream.add(text.substr(first, second - first));
                shown += stream.add(text.substr(second));
                shown += stream.end();
                CAPTURE(text, first, second);
                REQUIRE(shown == whole);
            }
        }
        RedactedStream bytes(redactor);
        std::string shown;
        for (const char c : text) shown += bytes.add(std::string_view(&c, 1));
        CHECK(shown + bytes.end() == whole);
    }
}

TEST_CASE("the beginning of a secret at the end of a text that was cut is masked", "[base][redact]")
{
    Redactor redactor;
    redactor.add("correct horse battery");
    const auto cut = [&](std::string_view text) {
        RedactedStream stream(redactor);
        std::string shown = stream.add(text);
        shown += stream.end(RedactedStream::Ends::cut);
        return std::pair(shown, stream.masked());
    };
    CHECK(cut("it is correct hor") == std::pair<std::string, std::size_t>("it is ***", 1));
    CHECK(cut("it is correct%20h") == std::pair<std::string, std::size_t>("it is ***", 1));
    CHECK(cut("it is correct\\u00") == std::pair<std::string, std::size_t>("it is ***", 1));
    CHECK(cut("it is correct horse battery, cor") == std::pair<std::string, std::size_t>("it is ***, cor", 1));  // three bytes tell nothing
    CHECK(cut("it is corrected") == std::pair<std::string, std::size_t>("it is corrected", 0));
    CHECK(cut("token mw_user_0123456789ab_0123") == std::pair<std::string, std::size_t>("token mw_user_0123456789ab_***", 1));
}

TEST_CASE("the log is warned once, by name, of a value too short to be masked", "[base][redact]")
{
    const std::string said = logged([] {
        for (int i = 0; i < 3; ++i) {
            redact_in_log("7Q", "door-code", "pin");
            redact_in_log("", "door-code", "note");
            redact_in_log("long enough", "door-code", "password");
        }
    });
    CHECK_THAT(said, Catch::Contains("credential 'door-code'") && Catch::Contains("'pin'") && !Catch::Contains("7Q") && !Catch::Contains("password"));
    CHECK(said.find("door-code") == said.rfind("door-code"));
    CHECK(redacted("it is long enough") == "it is ***");
}

TEST_CASE("short values are not masked, and tokens always are", "[base][redact]")
{
    Redactor redactor;
    CHECK_FALSE(redactor.add("abc"));
    CHECK(redactor.empty());
    CHECK(redactor.add(""));
    CHECK(redactor.apply("abc mw_user_0123456789ab_0123456789abcdef0123.") == "abc mw_user_0123456789ab_***.");
    CHECK(redactor.apply("mw_short_a_b mw_ mw_x") == "mw_short_a_b mw_ mw_x");
}

TEST_CASE("a secret that holds another is masked whole", "[base][redact]")
{
    Redactor redactor;
    redactor.add("secret");
    redactor.add("secret-and-more");
    CHECK(redactor.apply("a secret-and-more b") == "a *** b");
}

TEST_CASE("headers that prove who calls are known in any case", "[base][redact]")
{
    CHECK(is_secret_header("Authorization"));
    CHECK(is_secret_header("x-API-key"));
    CHECK_FALSE(is_secret_header("X-Job"));
    CHECK(lower_case("Content-TYPE \xC3\x84") == "content-type \xC3\x84");
}
