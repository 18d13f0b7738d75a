//! The table: what somebody tries with a key that may not, by families of tricks. Each attempt is an operation that
//! some careless server would carry out (the emulator's lenient door does), and the exact refusal that it meets.

use super::want::Refused::{self, Access, Deployment, Family, Index, NoFamily, NoPlane, Nobody, Odd, WrongKey};
use super::want::{Attempt, Want, on, want};

const DOCUMENT: &str = r#"{"value":[{"@search.action":"upload","HotelId":"intruder"}]}"#;
const PROMPT: &str = r#"{"prompt":"x","model":"gpt-35-turbo-instruct"}"#;

/// A query key that wants to write documents.
const WRITE: Want = want("query", "docs-index", DOCUMENT);
/// A key for the index `hotels` that wants to search in `secret`.
const SECRET: Want = on("secret", want("hotels", "docs-search", "{}"));
/// A key for the deployment `gpt-4o` that wants another one.
const OTHER: Want = on("gpt-35-turbo-instruct", want("gpt-4o", "completions", PROMPT));
/// A key for inference that wants to upload.
const UPLOAD: Want = want("chat", "files-create", "{}");
/// The same, and wants to delete a model, or to see what others have chatted.
const DELETE: Want = want("chat", "models-delete", "");
const CHATS: Want = want("chat", "stored-chats-list", "");

const TWICE: Refused = Odd("its path is percent-encoded more than once");
const BROKEN: Refused = Odd("its path has a broken percent-encoding");
const NOT_UTF8: Refused = Odd("its path is not UTF-8");
const LETTERS: Refused = Odd("its path has letters beyond ASCII");
const SLASH: Refused = Odd("its path has an encoded slash");
const BACKSLASH: Refused = Odd("its path has a backslash");
const MATRIX: Refused = Odd("its path has matrix parameters");
const DOTS: Refused = Odd("its path has a segment that is dots or ends in a dot or blank");
const CONTROL: Refused = Odd("its path has a control character");
const CUT: Refused = Odd("its path has an encoded ? or #");
const NO_NAME: Refused = Odd("its path has a character that no name of Azure's has");
const QUOTES: Refused = Odd("its path has quotes or parentheses that OData does not know");
const METHOD: Refused = Odd("it asks for another method than its own");
const CAPITALS: Refused = Odd("its method is not in capital letters");
const PATH: Refused = Odd("it asks for another path than its own");
const OTHER_INDEX: Refused = Index(Some("secret"));
const OTHER_DEPLOYMENT: Refused = Deployment(Some("gpt-35-turbo-instruct"));

/// Every family of tricks.
pub(crate) const FAMILIES: &[(&str, &[Attempt])] = &[
    ("forms of one path", FORMS),
    ("case", CASE),
    ("encoded once", ENCODED_ONCE),
    ("encoded twice", ENCODED_TWICE),
    ("encodings that are none", ENCODED_ODDLY),
    ("letters that look alike", LOOK_ALIKE),
    ("dot segments", DOT_SEGMENTS),
    ("encoded slashes", ENCODED_SLASHES),
    ("repeated slashes", REPEATED_SLASHES),
    ("backslashes", BACKSLASHES),
    ("matrix parameters", MATRIX_PARAMETERS),
    ("dots and blanks at the end", TRAILING),
    ("what cuts a path", CUTTING),
    ("quotes and parentheses", PARENTHESES),
    ("names with a dollar sign", DOLLAR),
    ("overriding the method", METHOD_OVERRIDES),
    ("overriding the path", PATH_OVERRIDES),
    ("forms of the target", TARGETS),
    ("hosts", HOSTS),
    ("other operations", OPERATIONS),
    ("other families", OTHER_FAMILIES),
    ("other names", OTHER_NAMES),
];

const FORMS: &[Attempt] = &[
    ("slash form", &WRITE, "POST /indexes/hotels/docs/index", &[], WrongKey),
    ("odata form", &WRITE, "POST /indexes('hotels')/docs/search.index", &[], WrongKey),
    ("encoded odata form", &WRITE, "POST /indexes(%27hotels%27)/docs/search.index", &[], WrongKey),
    ("both forms", &WRITE, "POST /indexes('hotels')/docs/index", &[], WrongKey),
    ("both forms, the other way", &WRITE, "POST /indexes/hotels/docs/search.index", &[], WrongKey),
    ("without a version", &UPLOAD, "POST /openai/files", &[], Family("files")),
    ("v1", &UPLOAD, "POST /openai/v1/files", &[], Family("files")),
    ("a project's", &UPLOAD, "POST /api/projects/p/openai/v1/files", &[], Family("files")),
];

const CASE: &[Attempt] = &[
    ("operation", &WRITE, "POST /indexes/hotels/docs/INDEX", &[], WrongKey),
    ("collection", &WRITE, "POST /Indexes/hotels/Docs/index", &[], WrongKey),
    ("odata operation", &WRITE, "POST /indexes('hotels')/docs/Search.Index", &[], WrongKey),
    ("index", &SECRET, "GET /indexes/Secret/docs", &[], Index(Some("Secret"))),
    (
        "deployment",
        &OTHER,
        "POST /openai/deployments/GPT-35-Turbo-Instruct/completions",
        &[],
        Deployment(Some("GPT-35-Turbo-Instruct")),
    ),
    ("root and version", &UPLOAD, "POST /OpenAI/V1/Files", &[], Family("files")),
    ("method", &DELETE, "delete /openai/models/ft-1", &[], CAPITALS),
    ("method, in part", &WRITE, "PoST /indexes/hotels/docs/index", &[], CAPITALS),
];

const ENCODED_ONCE: &[Attempt] = &[
    ("a letter", &WRITE, "POST /indexes/hotels/docs/%69ndex", &[], WrongKey),
    ("every letter", &WRITE, "POST /indexes/hotels/docs/%69%6e%64%65%78", &[], WrongKey),
    ("in the collection", &WRITE, "POST /%69ndexes/hotels/d%6Fcs/index", &[], WrongKey),
    ("the dot", &WRITE, "POST /indexes/hotels/docs/search%2eindex", &[], WrongKey),
    ("in the index", &SECRET, "GET /indexes/%73ecret/docs", &[], OTHER_INDEX),
    (
        "in the deployment",
        &OTHER,
        "POST /openai/deployments/%67pt-35-turbo-instruct/completions",
        &[],
        OTHER_DEPLOYMENT,
    ),
    ("in the family's word", &UPLOAD, "POST /openai/%66iles", &[], Family("files")),
];

const ENCODED_TWICE: &[Attempt] = &[
    ("a letter", &WRITE, "POST /indexes/hotels/docs/%2569ndex", &[], TWICE),
    ("its digits", &WRITE, "POST /indexes/hotels/docs/%25%36%39ndex", &[], TWICE),
    ("in the index", &SECRET, "GET /indexes/%2573ecret/docs", &[], TWICE),
    ("in the deployment", &OTHER, "POST /openai/deployments/%2567pt-35-turbo-instruct/completions", &[], TWICE),
    ("in the family's word", &UPLOAD, "POST /openai/v1/%2566iles", &[], TWICE),
    ("a parent", &WRITE, "POST /indexes/hotels/docs/search/%252e%252e/index", &[], TWICE),
];

const ENCODED_ODDLY: &[Attempt] = &[
    ("wide", &WRITE, "POST /indexes/hotels/docs/%u0069ndex", &[], BROKEN),
    ("over-long letter", &WRITE, "POST /indexes/hotels/docs/%c1%a9ndex", &[], NOT_UTF8),
    ("over-long slash", &WRITE, "POST /indexes/hotels/docs%c0%afindex", &[], NOT_UTF8),
    ("over-long slash of three", &WRITE, "POST /indexes/hotels/docs%e0%80%afindex", &[], NOT_UTF8),
    ("over-long dots", &WRITE, "POST /indexes/hotels/docs/search/%c0%ae%c0%ae/index", &[], NOT_UTF8),
    ("wide, encoded", &WRITE, "POST /indexes/hotels/docs/%25u0069ndex", &[], TWICE),
    ("in the family's word", &UPLOAD, "POST /openai/%u0066iles", &[], BROKEN),
];

const LOOK_ALIKE: &[Attempt] = &[
    ("full width", &WRITE, "POST /indexes/hotels/docs/%ef%bd%89ndex", &[], LETTERS),
    ("full-width slash", &WRITE, "POST /indexes/hotels/docs%ef%bc%8findex", &[], LETTERS),
    ("full-width dots", &WRITE, "POST /indexes/hotels/docs/search/%ef%bc%8e%ef%bc%8e/index", &[], LETTERS),
    ("dotless i", &WRITE, "POST /indexes/hotels/docs/%c4%b1ndex", &[], LETTERS),
    ("long s", &WRITE, "POST /indexes/hotels/doc%c5%bf/index", &[], LETTERS),
    ("long s in a deployment", &OTHER, "POST /openai/deployments/gpt-35-turbo-in%c5%bftruct/completions", &[], LETTERS),
    ("nothing seen", &WRITE, "POST /indexes/hotels/docs/in%e2%80%8bdex", &[], LETTERS),
    ("soft hyphen", &UPLOAD, "POST /openai/fi%c2%adles", &[], LETTERS),
];

const DOT_SEGMENTS: &[Attempt] = &[
    ("one dot", &WRITE, "POST /indexes/hotels/docs/./index", &[], DOTS),
    ("two dots", &WRITE, "POST /indexes/hotels/docs/search/../index", &[], DOTS),
    ("encoded", &WRITE, "POST /indexes/hotels/docs/search/%2e%2e/index", &[], DOTS),
    ("half encoded", &WRITE, "POST /indexes/hotels/docs/search/.%2E/index", &[], DOTS),
    ("above the root", &WRITE, "POST /../indexes/hotels/docs/index", &[], DOTS),
    ("at the end", &WRITE, "POST /indexes/hotels/docs/index/.", &[], DOTS),
    ("to another index", &SECRET, "GET /indexes/hotels/../secret/docs", &[], DOTS),
    (
        "to another deployment",
        &OTHER,
        "POST /openai/deployments/gpt-4o/../gpt-35-turbo-instruct/completions",
        &[],
        DOTS,
    ),
    ("to another family", &UPLOAD, "POST /openai/deployments/gpt-4o/chat/completions/../../../../files", &[], DOTS),
    ("to the other plane", &WRITE, "POST /openai/../indexes/hotels/docs/index", &[], DOTS),
];

const ENCODED_SLASHES: &[Attempt] = &[
    ("plain", &WRITE, "POST /indexes/hotels/docs%2findex", &[], SLASH),
    ("twice", &WRITE, "POST /indexes/hotels/docs%252findex", &[], TWICE),
    ("with a parent", &WRITE, "POST /indexes/hotels/docs/search%2f..%2findex", &[], SLASH),
    ("parent alone", &WRITE, "POST /indexes/hotels/docs/search/..%2findex", &[], SLASH),
    ("in a deployment", &OTHER, "POST /openai/deployments/gpt-4o%2f..%2fgpt-35-turbo-instruct/completions", &[], SLASH),
    ("in an index", &SECRET, "GET /indexes/hotels%2F..%2Fsecret/docs", &[], SLASH),
    ("in a document's key", &WRITE, "POST /indexes/hotels/docs('a%2f..%2fdocs%2findex;')", &[], DOTS),
    ("in a document's key, quoted no more", &WRITE, "POST /indexes/hotels/docs('%2f..%2fdocs%2findex')", &[], DOTS),
    // Found by the fuzzer: a plus is a blank to somebody, and what is left without it are dots.
    (
        "in a document's key, behind a plus",
        &want("query", "servicestats", ""),
        "GET /indexes('hotels')/docs('x%2f..+%2f..+%2fservicestats')",
        &[],
        NO_NAME,
    ),
];

const REPEATED_SLASHES: &[Attempt] = &[
    ("within", &WRITE, "POST /indexes/hotels//docs//index", &[], WrongKey),
    ("in front", &WRITE, "POST //indexes/hotels/docs/index", &[], WrongKey),
    ("behind", &WRITE, "POST /indexes/hotels/docs/index/", &[], WrongKey),
    ("everywhere", &WRITE, "POST ///indexes///hotels///docs///index///", &[], WrongKey),
    (
        "before a deployment",
        &OTHER,
        "POST //openai//deployments//gpt-35-turbo-instruct//completions",
        &[],
        OTHER_DEPLOYMENT,
    ),
    ("before a family's word", &UPLOAD, "POST //openai//files", &[], Family("files")),
];

const BACKSLASHES: &[Attempt] = &[
    ("encoded", &WRITE, "POST /indexes/hotels/docs%5cindex", &[], BACKSLASH),
    ("encoded twice", &WRITE, "POST /indexes/hotels/docs%255cindex", &[], TWICE),
    ("with a parent", &WRITE, "POST /indexes/hotels/docs/search%5c..%5cindex", &[], BACKSLASH),
    (
        "in a deployment",
        &OTHER,
        "POST /openai/deployments/gpt-4o%5C..%5Cgpt-35-turbo-instruct/completions",
        &[],
        BACKSLASH,
    ),
    ("in front", &UPLOAD, "POST /openai/%5Cfiles", &[], BACKSLASH),
];

const MATRIX_PARAMETERS: &[Attempt] = &[
    ("at the end", &WRITE, "POST /indexes/hotels/docs/index;x=y", &[], MATRIX),
    ("empty", &WRITE, "POST /indexes/hotels/docs;/index", &[], MATRIX),
    ("encoded", &WRITE, "POST /indexes/hotels/docs/index%3bx", &[], MATRIX),
    ("behind a parent", &WRITE, "POST /indexes/hotels/docs/search/..;x/index", &[], MATRIX),
    ("behind an index", &SECRET, "GET /indexes/secret;hotels/docs", &[], MATRIX),
    ("behind a deployment", &OTHER, "POST /openai/deployments/gpt-35-turbo-instruct;gpt-4o/completions", &[], MATRIX),
    ("with an extension", &UPLOAD, "POST /openai/files;.json", &[], MATRIX),
];

const TRAILING: &[Attempt] = &[
    ("dot", &WRITE, "POST /indexes/hotels/docs/index.", &[], DOTS),
    ("dots", &WRITE, "POST /indexes/hotels/docs/index...", &[], DOTS),
    ("blank", &WRITE, "POST /indexes/hotels/docs/index%20", &[], DOTS),
    ("blank in front", &WRITE, "POST /indexes/hotels/docs/%20index", &[], DOTS),
    ("plus", &WRITE, "POST /indexes/hotels/docs/index+", &[], NO_NAME),
    ("tab", &WRITE, "POST /indexes/hotels/docs/index%09", &[], CONTROL),
    ("wide blank", &WRITE, "POST /indexes/hotels/docs/index%c2%a0", &[], LETTERS),
    ("behind the collection", &WRITE, "POST /indexes/hotels/docs./index", &[], DOTS),
    ("behind an index", &SECRET, "GET /indexes/secret./docs", &[], DOTS),
    ("behind a deployment", &OTHER, "POST /openai/deployments/gpt-35-turbo-instruct%20/completions", &[], DOTS),
];

const CUTTING: &[Attempt] = &[
    ("nul", &WRITE, "POST /indexes/hotels/docs/index%00", &[], CONTROL),
    ("nul before a harmless end", &WRITE, "POST /indexes/hotels/docs/index%00/search", &[], CONTROL),
    ("line feed", &WRITE, "POST /indexes/hotels/docs/index%0a", &[], CONTROL),
    ("line break", &WRITE, "POST /indexes/hotels/docs/index%0d%0a", &[], CONTROL),
    ("question mark", &WRITE, "POST /indexes/hotels/docs/index%3f/search", &[], CUT),
    ("question mark, twice", &WRITE, "POST /indexes/hotels/docs/index%253f/search", &[], TWICE),
    ("fragment", &WRITE, "POST /indexes/hotels/docs/index%23/search", &[], CUT),
    ("nul behind an index", &SECRET, "GET /indexes/secret/docs%00", &[], CONTROL),
    ("fragment behind a family's word", &UPLOAD, "POST /openai/files%23/chat/completions", &[], CUT),
];

const PARENTHESES: &[Attempt] = &[
    ("a call", &WRITE, "POST /indexes('hotels')/docs/search.index()", &[], QUOTES),
    ("a named key", &WRITE, "POST /indexes(name='hotels')/docs/search.index", &[], QUOTES),
    ("no quotes", &WRITE, "POST /indexes(hotels)/docs/index", &[], QUOTES),
    ("double quotes", &WRITE, "POST /indexes(%22hotels%22)/docs/index", &[], NO_NAME),
    ("an empty call between", &WRITE, "POST /indexes('hotels')/docs()/index", &[], QUOTES),
    ("the operation as a key", &WRITE, "POST /indexes('hotels')/docs('index')", &[], Nobody),
    ("an empty key behind an index", &SECRET, "GET /indexes/secret('')/docs", &[], QUOTES),
    ("a key in an index", &SECRET, "GET /indexes('hotels=secret')/docs", &[], NO_NAME),
    (
        "a deployment",
        &OTHER,
        "POST /openai/deployments('gpt-35-turbo-instruct')/completions",
        &[],
        Odd("its path has quotes or parentheses"),
    ),
];

const BATCH: Want = want("query", "batch", "{}");
const BATCH_OF_HOTELS: Want = want("hotels", "batch", "{}");

const DOLLAR: &[Attempt] = &[
    ("a batch of documents", &BATCH, "POST /indexes('hotels')/docs/$batch", &[], Nobody),
    ("a batch of an index", &BATCH, "POST /indexes/hotels/$batch", &[], Nobody),
    ("a batch of indexes", &BATCH, "POST /indexes/$batch", &[], Nobody),
    ("encoded", &BATCH, "POST /indexes/hotels/docs/%24batch", &[], Nobody),
    ("of everything", &BATCH, "POST /$batch", &[], NoPlane),
    ("with leave for one index", &BATCH_OF_HOTELS, "POST /indexes('hotels')/docs/$batch", &[], Nobody),
];

const METHOD_OVERRIDES: &[Attempt] = &[
    ("header", &DELETE, "GET /openai/models/ft-1", &[("X-HTTP-Method-Override", "DELETE")], METHOD),
    ("old header", &DELETE, "GET /openai/models/ft-1", &[("X-HTTP-Method", "DELETE")], METHOD),
    ("other header", &DELETE, "GET /openai/models/ft-1", &[("x-method-override", "delete")], METHOD),
    ("to look at chats", &CHATS, "POST /openai/v1/chat/completions", &[("x-http-method-override", "GET")], METHOD),
    ("parameter", &DELETE, "GET /openai/models/ft-1?_method=DELETE", &[], METHOD),
    ("parameter in other case", &DELETE, "GET /openai/models/ft-1?_Method=DELETE", &[], METHOD),
    ("encoded parameter", &DELETE, "GET /openai/models/ft-1?%5Fmethod=DELETE", &[], METHOD),
    ("parameter encoded twice", &DELETE, "GET /openai/models/ft-1?%255Fmethod=DELETE", &[], METHOD),
    ("parameter behind a semicolon", &DELETE, "GET /openai/models/ft-1?x=1;_method=DELETE", &[], METHOD),
    ("the header as a parameter", &DELETE, "GET /openai/models/ft-1?X-HTTP-Method-Override=DELETE", &[], METHOD),
    ("to write", &WRITE, "GET /indexes/hotels/docs/index", &[("x-http-method-override", "POST")], METHOD),
];

const PATH_OVERRIDES: &[Attempt] = &[
    ("to write", &WRITE, "POST /indexes/hotels/docs/search", &[("X-Original-URL", "/indexes/hotels/docs/index")], PATH),
    (
        "the other one",
        &WRITE,
        "POST /indexes/hotels/docs/search",
        &[("X-Rewrite-URL", "/indexes/hotels/docs/index")],
        PATH,
    ),
    ("to upload", &UPLOAD, "POST /openai/v1/chat/completions", &[("x-rewrite-url", "/openai/v1/files")], PATH),
];

const TARGETS: &[Attempt] = &[
    ("absolute", &WRITE, "POST http://gateway/indexes/hotels/docs/index", &[], WrongKey),
    ("absolute, https", &WRITE, "POST https://gateway/indexes/hotels/docs/index", &[], WrongKey),
    (
        "absolute, another host",
        &WRITE,
        "POST http://other/indexes/hotels/docs/index",
        &[],
        Odd("its target and its Host header name different hosts"),
    ),
    (
        "absolute, another scheme",
        &WRITE,
        "POST ftp://gateway/indexes/hotels/docs/index",
        &[],
        Odd("its target has another scheme than http and https"),
    ),
    (
        "absolute, with a user",
        &WRITE,
        "POST http://a@gateway/indexes/hotels/docs/index",
        &[],
        Odd("its target and its Host header name different hosts"),
    ),
];

const HOSTS: &[Attempt] = &[
    ("two", &WRITE, "POST /indexes/hotels/docs/index", &[("host", "other")], Odd("it has more than one Host header")),
    (
        "two alike",
        &WRITE,
        "POST /indexes/hotels/docs/index",
        &[("Host", "gateway")],
        Odd("it has more than one Host header"),
    ),
    ("forwarded", &WRITE, "POST /indexes/hotels/docs/index", &[("x-forwarded-host", "admin")], WrongKey),
];

const OPERATIONS: &[Attempt] = &[
    ("look at an index", &want("query", "index-get", ""), "GET /indexes('hotels')", &[], WrongKey),
    ("list indexes", &want("query", "index-list", ""), "GET /indexes", &[], WrongKey),
    ("statistics of an index", &want("query", "index-stats", ""), "GET /indexes/hotels/search.stats", &[], WrongKey),
    ("statistics", &want("query", "servicestats", ""), "GET /servicestats", &[], WrongKey),
    ("run an indexer", &want("query", "indexers-run", "{}"), "POST /indexers('i')/search.run", &[], WrongKey),
    (
        "ask a knowledge base",
        &want("query", "knowledgebases-retrieve", "{}"),
        "POST /knowledgebases('k')/retrieve",
        &[],
        WrongKey,
    ),
    ("change an alias", &want("writer", "aliases-put", "{}"), "PUT /aliases('hotels')", &[], WrongKey),
    ("see a data source", &want("writer", "datasources-get", ""), "GET /datasources('hotels')", &[], WrongKey),
    ("delete an index", &on("secret", want("writer", "index-delete", "")), "DELETE /indexes('secret')", &[], WrongKey),
];

const OTHER_FAMILIES: &[Attempt] = &[
    ("responses", &want("chat", "responses-create", "{}"), "POST /openai/v1/responses", &[], Family("responses")),
    ("others' responses", &want("chat", "responses-get", ""), "GET /openai/responses/resp_1", &[], Family("responses")),
    (
        "a project's responses",
        &want("chat", "responses-create", "{}"),
        "POST /api/projects/p/openai/v1/responses",
        &[],
        Family("responses"),
    ),
    ("others' chats", &CHATS, "GET /openai/v1/chat/completions", &[], Family("responses")),
    ("batches", &want("chat", "batches-create", "{}"), "POST /openai/batches", &[], Family("batches")),
    (
        "Anthropic's batches",
        &want("chat", "batches-create", "{}"),
        "POST /anthropic/v1/messages/batches",
        &[],
        Family("batches"),
    ),
    ("assistants", &want("chat", "assistants-create", "{}"), "POST /openai/assistants", &[], Family("assistants")),
    ("runs", &want("chat", "runs-create", "{}"), "POST /openai/threads/t/runs", &[], Family("assistants")),
    (
        "fine-tuning",
        &want("chat", "fine-tuning-create", "{}"),
        "POST /openai/v1/fine_tuning/jobs",
        &[],
        Family("fine-tuning"),
    ),
    ("delete a model", &DELETE, "DELETE /openai/models/ft-1", &[], Family("fine-tuning")),
    ("evaluations", &want("chat", "evals-create", "{}"), "POST /openai/v1/evals", &[], Family("evaluations")),
    (
        "a way past us",
        &want("chat", "realtime-secrets", "{}"),
        "POST /openai/v1/realtime/client_secrets",
        &[],
        Family("realtime-secrets"),
    ),
    (
        "a way past us, older",
        &want("all", "realtime-secrets", "{}"),
        "POST /openai/realtimeapi/sessions",
        &[],
        Family("realtime-secrets"),
    ),
    ("make a deployment", &want("all", "deployments-put", "{}"), "PUT /openai/deployments/d", &[], NoFamily),
    ("agents", &want("all", "agents-create", "{}"), "POST /api/projects/p/agents", &[], NoFamily),
    (
        "write where reading is granted",
        &want("reader", "files-create", "{}"),
        "POST /openai/v1/files",
        &[],
        Access("files", "write"),
    ),
    ("delete there", &want("reader", "files-delete", ""), "DELETE /openai/files/f", &[], Access("files", "write")),
    (
        "tune there",
        &want("reader", "fine-tuning-create", "{}"),
        "POST /openai/fine_tuning/jobs",
        &[],
        Access("fine-tuning", "manage"),
    ),
];

const OTHER_NAMES: &[Attempt] = &[
    ("index", &SECRET, "GET /indexes/secret/docs", &[], OTHER_INDEX),
    ("index, odata", &SECRET, "POST /indexes('secret')/docs/search.post.search", &[], OTHER_INDEX),
    (
        "write to it",
        &on("secret", want("hotels", "docs-index", DOCUMENT)),
        "POST /indexes/secret/docs/index",
        &[],
        OTHER_INDEX,
    ),
    ("its definition", &on("secret", want("hotels", "index-get", "")), "GET /indexes('secret')", &[], OTHER_INDEX),
    ("every index", &want("hotels", "index-list", ""), "GET /indexes", &[], Index(None)),
    ("what is no index", &want("hotels", "aliases-list", ""), "GET /aliases", &[], Index(None)),
    (
        "what is no index and called like it",
        &want("hotels", "aliases-put", "{}"),
        "PUT /aliases('hotels')",
        &[],
        Index(None),
    ),
    ("what belongs to none", &want("hotels", "servicestats", ""), "GET /servicestats", &[], Index(None)),
    ("deployment", &OTHER, "POST /openai/deployments/gpt-35-turbo-instruct/completions", &[], OTHER_DEPLOYMENT),
    ("deployment in the body", &OTHER, "POST /openai/v1/completions", &[], OTHER_DEPLOYMENT),
];
