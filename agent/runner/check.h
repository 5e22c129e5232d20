// agent/runner/check.h -- what the factory has checked where a hostile package or text does no harm.
#pragma once

#include <string>

namespace mill::runner {

/// `--check FILE`: confines this process, loads the package and prints what is wrong: lines, or one JSON document
/// {valid, findings: [{level, file, line, column, text}], manifest, inputs: {WORKFLOW: input.schema or null}}; in place of the last
/// two {error: {code, text}} when the bytes are no package. Returns the exit status: 0, 65 (errors), 70 (our own
/// failure), 71 (no memory), 77 (it cannot be confined).
int check_package(const std::string& path, bool json);

/// `--check-input`: confines this process, reads {schema, value} from standard input and prints {mistakes: [TEXT…]}, or {error: {code, text}}
/// when the schema is none. Returns as above; 65 when the value does not fit.
int check_input();

/// `--evaluate`: confines this process and serves the channel at descriptor 3 until its peer is gone: {expressions: [TEXT…]}, once, is answered by
/// {mistakes: [{index, text}…]}, and {document, which: [INDEX…]} by {values: [V…]} or {error: {index, code, text}}. Returns as above.
int evaluate();

inline constexpr int kDataError = 65, kOwnFailure = 70, kNoMemory = 71, kNotConfined = 77;
bool confined();    ///< confines this process; says why it cannot
int no_memory();    ///< says so

}  // namespace mill::runner
