"""Reason codes: meaning and remedy of each. docs/reference/reason-codes.md is generated from here."""

from __future__ import annotations

from rag_core.errors import Reason

R = Reason

REASONS: dict[Reason, tuple[str, str]] = {
    # code: (meaning, what to do)
    R.QUERY_EMPTY: ("The query has no visible text.", "Send at least one visible character."),
    R.QUERY_TOO_LONG: ("The query is longer than RAG_MAX_QUERY_CHARS.", "Shorten it."),
    R.TOP_K_RANGE: ("`top_k` is outside 1..100.", "Ask for 1 to 100 results."),
    R.VECTOR_DIM: ("A vector has the wrong number of dimensions.", "Use the embedder of the generation."),
    R.SCHEMA_VIOLATION: (
        "A stored row of the document violates the schema of its stage; the document is not in the index.",
        "Report it with the column that the message names.",
    ),
    R.VECTOR_NOT_FINITE: ("A vector contains NaN or infinity.", "Check the embedder."),
    R.VECTOR_ZERO: ("A vector has norm zero, which no search can find.", "Check the embedder."),
    R.FILTER_FIELD_UNKNOWN: (
        "A filter names a field that does not exist.",
        "Use a field of the reference or a declared metadata name.",
    ),
    R.FILTER_TYPE: (
        "A filter condition does not fit its field.",
        "Use values for keyword fields and ranges for times.",
    ),
    R.FILTER_TOO_COMPLEX: ("A filter has too many conditions or is nested too deeply.", "Simplify it."),
    R.RESERVED_FIELD: (
        "A request names a field that only the server sets.",
        "Remove it; tenant and permissions come from the token.",
    ),
    R.MESSAGE_INVALID: ("The message does not decode.", "Compare the client's stubs with the API reference."),
    R.PAGE_TOKEN_INVALID: (
        "The page token is invalid, has expired, or belongs to another request, caller or generation.",
        "Ask again without a page token; keep query, filter and tenant between pages.",
    ),
    R.RESUME_TOKEN_INVALID: (
        "The resume token is invalid, has expired, or belongs to another request or caller.",
        "Ask again without a resume token.",
    ),
    R.RESUME_LOST: (
        "The answer cannot resume where it broke off: the index changed, or the model answers differently.",
        "Drop the text received so far and ask again without the resume token.",
    ),
    R.CITATION_INVALID: (
        "The answerer cited something that was not retrieved; the answer was withheld.",
        "Ask again; if it happens again, report the request id.",
    ),
    R.STREAM_LIMIT: ("A stream sent more messages than allowed.", "Open a new stream."),
    R.REQUEST_TOO_LARGE: ("The request body or message is larger than RAG_MAX_MESSAGE_BYTES.", "Send less at once."),
    R.USAGE: ("A command was called with wrong arguments.", "See `rag COMMAND --help`."),
    R.TEXT_INVALID: ("A text is not valid Unicode.", "Remove lone surrogates."),
    R.FIELD_INVALID: ("A field of the request has a value it cannot have.", "See the message."),
    R.FIELD_UNKNOWN: (
        "The JSON body of a request has a field that this server's API does not have.",
        "Compare its path in the message with the API reference; for an older server, leave it out.",
    ),
    R.ID_CHARS: ("An id contains characters that ids cannot have.", "Use the id as it was given."),
    R.METHOD_UNKNOWN: ("The service has no such method.", "Compare with the API reference."),
    R.SOURCE_KIND_UNKNOWN: (
        "No installed package has this kind of source, or the package cannot be used here.",
        "`rag source kinds` lists the kinds and what is wrong with them; install the package it names.",
    ),
    R.SOURCE_NOT_FOUND: ("No such source, or not for this caller.", "`rag source list`."),
    R.DOCUMENT_NOT_FOUND: ("No such document, or not for this caller.", "Check id and token."),
    R.PAGE_NOT_FOUND: ("The document does not have this page.", "Ask for one of the pages that the message names."),
    R.PAGES_UNSUPPORTED: (
        "Documents of this format have no pages that can be shown as a picture: PDFs and images have.",
        "Show the text of the span.",
    ),
    R.ORIGINAL_NOT_FOUND: (
        "The file that the text was read from is no longer there: it is gone at its source, or it was pushed before "
        "this release or without RAG_KEEP_PUSHED_ORIGINALS.",
        "Show the text of the span; push the file again.",
    ),
    R.ORIGINAL_CHANGED: (
        "The file at the source is newer than the text that was cited.",
        "Ask again once the source has been read again.",
    ),
    R.QUARANTINE_NOT_FOUND: ("No such quarantine entry.", "`rag quarantine list`."),
    R.GENERATION_NOT_FOUND: ("No such index generation.", "`rag index generations`."),
    R.DOCUMENT_TOO_LARGE: (
        "The content is larger than RAG_MAX_DOCUMENT_BYTES.",
        "Split the document, or offer it as a file of a source.",
    ),
    R.IDEMPOTENCY_MISMATCH: (
        "The idempotency key was used for another request.",
        "Use a new key for a new request.",
    ),
    R.STALE_VERSION: (
        "A newer version of the document was accepted already.",
        "Send a higher source_version, or leave it out.",
    ),
    R.SOURCE_NOT_PUSHABLE: (
        "The source is read by a connector, which would undo the change.",
        "Push into a source of its own.",
    ),
    R.INBOX_FULL: (
        "The inbox already has RAG_INBOX_MAX_PENDING pending changes.",
        "Retry later; check that `rag stream` runs.",
    ),
    R.KEY_MISSING: (
        "An item or a message has no key, so it names no document.",
        "Give it one, or produce it with the document's key; without it nothing can be updated.",
    ),
    R.EVENT_INVALID: ("A message is not the JSON object it must be.", "Correct the producer."),
    R.EVENT_SCHEMA: ("A message does not match the source's JSON Schema.", "Correct the producer."),
    R.EVENT_UNDECODABLE: (
        "A message's value does not match its registered schema, or has no schema of the registry.",
        "Correct the producer: it must use the registry's serializers, with the schema's id before the value.",
    ),
    R.SCHEMA_UNKNOWN: (
        "The schema registry does not know the schema that a message names.",
        "Point `registry.url` to the registry its producer uses, or correct the producer.",
    ),
    R.SCHEMA_UNUSABLE: (
        "The schema that a message names cannot be used; the message says why.",
        "Correct the schema in the registry, then produce the message again.",
    ),
    R.REGISTRY_UNAVAILABLE: (
        "The schema registry cannot be reached or sends invalid responses.",
        "Start it, or correct `registry`.",
    ),
    R.TENANT_MISMATCH: (
        "A message names another tenant than the one its topic belongs to.",
        "Find out who produced it; it was not applied.",
    ),
    R.MESSAGE_TOO_LARGE: ("A message is larger than the source allows.", "Raise `max_message_bytes`, or split it."),
    R.POISON_RATE: (
        "Too many of the last documents or messages were unusable; a stream stops before them.",
        "Correct the producer, or exclude in the source file what cannot be read.",
    ),
    R.EVENT_FAILED: ("A change could not be applied because of a defect.", "The log has the details."),
    R.BROKER_UNAVAILABLE: ("The message broker cannot be reached.", "Start it."),
    R.BROKER_REFUSED: (
        "The message broker refused; the message has its error and the option to correct.",
        "Correct the source file, the credentials or the broker.",
    ),
    R.TOPIC_RECREATED: (
        "The topic was deleted and recreated, so the stored offsets belong to the old one. Nothing was skipped.",
        "Decide: `rag stream reset SOURCE --to earliest|latest`, then restart the worker.",
    ),
    R.OFFSET_OUT_OF_RANGE: (
        "The stored offset is not in the topic: messages expired unread, or the topic was recreated.",
        "Decide: `rag stream reset SOURCE --to earliest|latest`.",
    ),
    R.DEAD_LETTER_UNAVAILABLE: (
        "A dead letter could not be stored, so nothing was skipped.",
        "Fix the dead-letter topic or the database.",
    ),
    R.ERASURE_INCOMPLETE: (
        "The document is still found somewhere after its erasure.",
        "Run the erasure again when every service is up; the receipt names the location.",
    ),
    R.TOKEN_MISSING: ("The call carries no bearer token.", "Send `authorization: Bearer …`; `rag token` makes one."),
    R.TOKEN_MALFORMED: ("The authorization value is not a bearer JWT.", "Send `Bearer` and the token."),
    R.TOKEN_INVALID: ("The token's signature or claims do not verify.", "Get a new token from the issuer."),
    R.TOKEN_AUDIENCE: ("The token was issued for another service (`aud`).", "Get one for RAG_JWT_AUDIENCE."),
    R.TOKEN_EXPIRED: ("The token has expired.", "Get a new token."),
    R.TENANT_MISSING: ("The token names no tenant.", "The issuer must add a `tenant` claim."),
    R.PERSON_DISABLED: (
        "A directory of the tenant says that the person is disabled.",
        "Enable the person in the directory; `rag access explain` shows which.",
    ),
    R.DIRECTORY_GROUPS_EXCEEDED: (
        "Directories give the caller more ACL entries than a search takes.",
        "Take the person out of groups, or nest fewer groups in each other.",
    ),
    R.DIRECTORY_HELD: (
        "A reading of a directory would remove half or more of its people and memberships; it was not applied.",
        "Look at the directory; then `rag access sync NAME --approve N` applies up to N removals.",
    ),
    R.DIRECTORY_NOT_FOUND: ("The tenant has no such directory.", "List them: `rag access directories`."),
    R.DIRECTORY_EXISTS: (
        "The tenant has a directory of this name and of another kind.",
        "Give it another name, or remove the other: `rag access remove NAME`, and its file.",
    ),
    R.DIRECTORY_NAME_TAKEN: (
        "Another entry of the directory has this name, mail address or external id.",
        "Change one of the two at the identity provider: two readers cannot share a name.",
    ),
    R.DIRECTORY_ENTRY_NOT_FOUND: (
        "The directory has no such person or group.",
        "Let the identity provider match its people and groups by name again.",
    ),
    R.DIRECTORY_ENTRY_CHANGED: (
        "The person or group was changed meanwhile; this change was not applied.",
        "Read it again and repeat the change.",
    ),
    R.DIRECTORY_FULL: (
        "The directory has as many entries, or the group as many members, as are allowed.",
        "Push fewer people, or nest groups.",
    ),
    R.ACL_INEXPRESSIBLE: (
        "The permissions of an item at its source cannot be expressed as an ACL; the document is hidden.",
        "Simplify the permissions at the source: what refuses somebody must name them in a form without spaces.",
    ),
    R.SCOPE_MISSING: ("The token has no scope for this method.", "Ask for the scope named in the message."),
    R.HOST_REFUSED: (
        "A request names a host that the platform does not know; it may come from a page that another name leads here.",
        "Use an address or localhost, or add the name to RAG_ALLOWED_HOSTS.",
    ),
    R.ORIGIN_REFUSED: (
        "A web page of another site sent a request to a page of the platform.",
        "Open the page itself. Behind a proxy that changes the host, set RAG_DAGSTER_ORIGINS.",
    ),
    R.REVOCATIONS_UNKNOWN: (
        "The server has not read revoked tokens and permissions from PostgreSQL since it started.",
        "Retry; another replica answers. `rag status` shows whether PostgreSQL runs.",
    ),
    R.TOKEN_REVOKED: ("Tokens of this subject issued before a moment were revoked.", "Get a new token."),
    R.API_KEY_INVALID: (
        "The API key is unknown, revoked or expired; the error is the same for all three.",
        "`rag key list`, `rag key create`.",
    ),
    R.API_KEY_NOT_FOUND: ("No such API key.", "`rag key list`."),
    R.KEYS_UNAVAILABLE: (
        "The issuer's public keys could not be read yet, so no token can be verified.",
        "Check RAG_JWT_JWKS_URL and the issuer; it is retried automatically.",
    ),
    R.QUOTA_EXCEEDED: (
        "A budget of the tenant or the API key is used up: calls or model tokens of a day (UTC), or stored documents. "
        "`limit`, `used` and `renews_at` are in the error's metadata.",
        "Wait until it renews, delete documents, or ask the operators for a larger budget (`rag budget set`).",
    ),
    R.RATE_LIMITED: (
        "The client or its address made too many calls; of a source: its host asks to wait longer than a run does.",
        "Wait for the seconds in `Retry-After`; ask for another limit, or lower the rate of the source.",
    ),
    R.SIGN_IN_FAILED: (
        "The name, the password or the code of the second factor is wrong; each code opens once.",
        "Try again, or set new ones with `rag account add` and `rag account second-factor`.",
    ),
    R.SIGN_IN_LOCKED: ("This name failed to sign in five times in a row.", "Wait 30 seconds."),
    R.ACCOUNT_NOT_FOUND: ("No console account has this name.", "See `rag account list`."),
    R.ACCOUNT_EXISTS: (
        "A console account has this name already.",
        "Choose another name, or change it with `rag account add`.",
    ),
    R.MERGE_REQUEST_FAILED: (
        "GitLab did not open a merge request for a source file.",
        "Commit the file yourself, or check `RAG_SOURCES_GITLAB_*` and the rights of the token (`api`).",
    ),
    R.SESSION_NOT_FOUND: ("No open session has this id.", "It has ended, or see `rag session list`."),
    R.OVERLOADED: (
        "The server is at its limit and refused the call at once.",
        "Wait for the pushback time, then retry.",
    ),
    R.DEADLINE: ("The time allowed ran out.", "Retry, or allow more time (30 s at most)."),
    R.CANCELLED: ("The caller cancelled.", "Nothing."),
    R.SHUTTING_DOWN: ("The server is draining.", "Retry; another replica answers."),
    R.INDEX_UNAVAILABLE: ("The vector index cannot be reached.", "`rag status`; docs/operations.md."),
    R.INDEX_LOCKED: ("Another process holds the index folder.", "Stop it, or set RAG_INDEX_ENDPOINT to it."),
    R.INDEX_CORRUPT: (
        "Index files are damaged or missing.",
        "The stack rebuilds it automatically; docs/operations.md.",
    ),
    R.INDEX_EMPTY: ("No generation was ever promoted.", "Ingest a source first."),
    R.GENERATION_STATE: ("The generation's state or specification forbids this.", "`rag index generations`."),
    R.GENERATION_REFUSED: (
        "The gate found a generation worse than the active one, or could not decide; the message has the figures.",
        "`rag index generations NAME`; fix the cause and build again, or promote with `--override REASON`.",
    ),
    R.REPLICA_UNPREPARED: (
        "A running query server cannot embed queries for this generation yet.",
        "Wait a moment; if it persists, read its log.",
    ),
    R.CONFIRMATION_NEEDED: (
        "The build is larger or more expensive than the limit for builds without confirmation.",
        "Read the forecast, then repeat with `--yes`.",
    ),
    R.GOLDEN_INVALID: (
        "A golden set is malformed.",
        "See the message; the layout is in docs/explanation/generations.md.",
    ),
    R.QUESTIONS_INVALID: (
        "A file of questions for `rag evaluate` is malformed.",
        "See the message; the layout is in docs/how-to/evaluate-answers.md.",
    ),
    R.EVALUATION_NOT_FOUND: (
        "There is no run of questions with this number; old ones are deleted.",
        "`rag evaluate runs` lists them.",
    ),
    R.QUESTION_NOT_FOUND: ("There is no proposed question with this number.", "`rag evaluate questions` lists them."),
    R.QUESTION_DECIDED: ("Another decision about this question was made before.", "Nothing; reload the list."),
    R.FEEDBACK_LIMIT: (
        "This caller has rated as many answers within an hour as RAG_FEEDBACK_PER_HOUR allows.",
        "Try again later.",
    ),
    R.DATABASE_UNAVAILABLE: ("PostgreSQL cannot be reached.", "`rag status`; check RAG_DATABASE_URL."),
    R.DATABASE_VERSION: (
        "The database was written by another release of this program or of PostgreSQL.",
        "Run `rag up` or the migration job, or the release the message names.",
    ),
    R.SOURCE_BUSY: ("Another run holds the same source shard.", "Wait for it, then try again."),
    R.EMBEDDER_UNAVAILABLE: ("The embedding endpoint does not answer.", "Check RAG_EMBED_URL and the endpoint."),
    R.EMBEDDER_RESPONSE: ("The embedding endpoint sent an invalid response.", "Check model and dimensions."),
    R.ANSWERER_UNAVAILABLE: (
        "The answering model does not answer.",
        "Check RAG_ANSWER_URL, or use the extractive answerer.",
    ),
    R.ANSWER_UNSUPPORTED: (
        "The answering model wrote only sentences that no passage says.",
        "Quotes came instead. When it happens often, use a model that keeps to the passages' words.",
    ),
    R.ANSWERER_UNKNOWN: (
        "The server has no answerer of this name.",
        "Leave it out, or use one that `GET /api/v2/answerers` lists.",
    ),
    R.TRACES_UNAVAILABLE: (
        "The trace viewer cannot be installed.",
        "See its log; a package index must be reachable, or `rag up --no-traces`.",
    ),
    R.RERANKER_UNAVAILABLE: (
        "The rerank endpoint does not answer, or not in time, or sends what is no scores.",
        "Check RAG_RERANKER_URL and its log; searches keep the order of retrieval meanwhile.",
    ),
    R.CONVERSATION_TOO_LONG: (
        "A request brings more or longer earlier messages than the server takes.",
        "Send only the latest messages, or begin a new conversation.",
    ),
    R.UPLOADS_FULL: (
        "Too many files that were uploaded to `/v1/files` wait to be attached.",
        "Attach or delete some, or wait; see RAG_INTERFACES_FILES_MAX_BYTES and RAG_INTERFACES_FILES_MAX.",
    ),
    R.UPLOAD_NOT_FOUND: (
        "There is no such uploaded file of this caller; files wait in memory for RAG_INTERFACES_FILE_SECONDS.",
        "Upload it again and attach it at once.",
    ),
    R.MODEL_CORRUPT: (
        "A model file does not match its checksum.",
        "Reinstall the package or delete `$RAG_HOME/models`.",
    ),
    R.STORAGE_FULL: ("A disk is full.", "Free space."),
    R.DAGSTER_UNAVAILABLE: ("The Dagster webserver cannot be reached.", "`rag status`."),
    R.SERVER_UNAVAILABLE: ("The query server or the gateway cannot be reached.", "`rag status`, `rag up`."),
    R.CONFIG_INVALID: ("A setting or a source file is wrong.", "The message lists every problem with its location."),
    R.PACKAGE_MISSING: (
        "A package is not installed that a command or a setting needs.",
        "Install what the message names; `rag doctor` lists what each extra adds.",
    ),
    R.CONFIG_RANGE: ("A setting is out of its range, alone or together with another.", "See the settings reference."),
    R.SECRET_MISSING: ("A required secret is not set.", "Set the variable that is named."),
    R.SECRET_WEAK: ("A secret is too short or a default.", "Use at least 32 random characters."),
    R.SECRET_INLINE_FORBIDDEN: ("A source file contains a secret.", "Refer to an environment variable or a file."),
    R.DUPLICATE_SOURCE: ("Two source files define the same source.", "Rename one."),
    R.EGRESS_FORBIDDEN: (
        "The egress policy of the tenant or the source forbids sending this text to the endpoint of a model.",
        "`rag tenant egress TENANT` shows the policy; have it changed, or use a model of this machine.",
    ),
    R.TENANT_SUSPENDED: (
        "The tenant is suspended: its tokens, keys and sessions open nothing, and its sources make no runs.",
        "Ask the platform's operators; `rag tenant resume TENANT` ends it, and nothing is lost.",
    ),
    R.TENANT_ERASED: (
        "The tenant was erased, or is being erased.",
        "`rag tenant create TENANT` begins a new, empty one once its erasure has ended.",
    ),
    R.TENANT_NOT_FOUND: ("No such tenant.", "`rag tenant list`."),
    R.TENANT_EXISTS: ("There is a tenant of this name.", "Choose another name, or use the one that exists."),
    R.TENANT_STATE: ("The state of the tenant forbids this.", "See the message, and `rag tenant list`."),
    R.SOURCE_NOT_ALLOWED: (
        "The caller may not add or change this source, or a run may not read it: the allow-lists of its tenant do not "
        "name the folder, host or secret, or what it leads to now, or the source is another tenant's.",
        "Use what `RAG_SOURCE_ALLOWANCES` names, have it extended, or ask someone with the scope `platform.admin`.",
    ),
    R.SOURCE_CHANGED: (
        "The source file changed since it was read, so that it was not written.",
        "Read it again and repeat the change.",
    ),
    R.SOURCE_OPERATION_NOT_FOUND: (
        "There is no such operation on a source, or its result is older than an hour.",
        "Start it again.",
    ),
    R.SOURCE_OPERATION_TIMEOUT: (
        "An operation on a source did not end in time: the source does not answer, or no stream worker runs.",
        "Check the host, and `rag status` for the stream worker; raise `RAG_SOURCE_OPERATION_SECONDS`.",
    ),
    R.PORT_TAKEN: ("Another program uses a port of the stack.", "Stop it, or set the variable that is named."),
    R.HOME_IN_USE: ("Another stack uses this RAG_HOME.", "`rag down` there, or use another RAG_HOME."),
    R.HOME_NOT_EMPTY: (
        "A restore was asked for into a RAG_HOME that holds something.",
        "Set RAG_HOME to an empty folder, or move what is there away.",
    ),
    R.BACKUP_INVALID: (
        "The file is no backup of `rag backup`, or it is damaged or was cut off.",
        "Name the right file, or take another copy of it.",
    ),
    R.BACKUP_KEY: ("A backup is encrypted with another key, or none was given.", "Give its key with `--key-file`."),
    R.BACKUP_VERSION: (
        "A backup was made by a later release.",
        "Restore it with that release; the message names it.",
    ),
    R.STACK_NOT_RUNNING: ("The local stack is not running.", "`rag up`."),
    R.START_FAILED: ("A service did not become ready.", "Read the log that is named."),
    R.LISTING_INCOMPLETE: (
        "A source could not be listed to its end; nothing was deleted.",
        "Fix the source; the message says where the listing ended.",
    ),
    R.URL_INVALID: ("A URL is malformed, too long, or holds a user name or password.", "Correct it."),
    R.URL_SCHEME: ("A URL or a redirect uses another scheme than http and https.", "Use https."),
    R.URL_PORT: ("A URL uses a port that is not in RAG_FETCH_PORTS.", "Add the port if it is right."),
    R.SSRF_BLOCKED: (
        "A source or webhook names a private, loopback, link-local or metadata address, or a part of the platform.",
        "If the host is yours, add its network to RAG_FETCH_ALLOW_NETWORKS; the platform's own parts are never read.",
    ),
    R.REDIRECT_LIMIT: ("Redirects form a loop or a long chain.", "Configure the final URL."),
    R.CROSS_ORIGIN: ("A link or redirect leads to another origin.", "Configure that origin as its own source."),
    R.HOST_UNREACHABLE: (
        "No connection to an external host, or it was interrupted, or its name has no address that may be called.",
        "Check its name, and that it runs and is reachable from here; of a private one an operator allows the network "
        "(RAG_FETCH_ALLOW_NETWORKS).",
    ),
    R.HTTP_STATUS: ("A host answers with an error status.", "Check the URL and the host."),
    R.ACCESS_REFUSED: ("A host answers 401 or 403.", "Check the credentials of the source."),
    R.CONTENT_TYPE: (
        "A response has another type than expected, such as an error page instead of JSON.",
        "Check the URL.",
    ),
    R.RESPONSE_TOO_LARGE: ("A response is larger than allowed, compressed or decompressed.", "Ask for smaller pages."),
    R.RESPONSE_TIMEOUT: ("A response takes longer than RAG_FETCH_TIMEOUT_SECONDS.", "Check the host, or raise it."),
    R.RESPONSE_INVALID: ("A response does not match its type, or a mapped field is missing.", "Check the mapping."),
    R.PAGINATION_LOOP: ("Pages of a listing repeat, or have no end.", "Check the paging options."),
    R.CRAWL_BUDGET: (
        "A page was not visited because the crawl's budget was used up.",
        "Raise `max_pages` or narrow the scope.",
    ),
    R.ROBOTS_EXCLUDED: ("The site's robots.txt or the page itself excludes the page.", "Nothing."),
    R.MASS_DELETE_HELD: (
        "A listing would delete too much; the deletions are held.",
        "Check the source, then `rag source approve-deletions`.",
    ),
    R.PATH_OUTSIDE_ROOT: ("A path leads outside the source's root.", "Correct the path."),
    R.SYMLINK_IGNORED: (
        "A symbolic link in a source that does not follow links.",
        "Set `symlinks: within_root` to follow links that stay inside.",
    ),
    R.SYMLINK_ESCAPE: ("A link leads outside the source's root.", "Replace the link, or add its target as a source."),
    R.NOT_A_REGULAR_FILE: ("The entry is a device, pipe, socket or folder.", "Exclude it."),
    R.FILE_TOO_LARGE: (
        "The file is larger than RAG_MAX_FILE_BYTES or the source's limit.",
        "Raise the limit or exclude it.",
    ),
    R.UNREADABLE: (
        "The file or folder cannot be read (missing, permissions, I/O error).",
        "Check that it is there, that the platform may read it, and its disk.",
    ),
    R.VANISHED: ("The item was listed but was gone when it was read.", "Nothing, if it was removed on purpose."),
    R.CHANGED_WHILE_READING: ("The file kept changing while it was read.", "Try again when its writer has ended."),
    R.EMPTY_DOCUMENT: ("The document has no bytes.", "Nothing, if it is meant to be empty."),
    R.TYPE_UNSUPPORTED: (
        "No parser reads this type.",
        "Exclude it, or offer it in a format of docs/reference/document-types.md.",
    ),
    R.NO_TEXT: (
        "The document has content but no text that can be read.",
        "Exclude it. Pictures of text are read in PDFs and image files only (docs/how-to/read-scans.md).",
    ),
    R.NEEDS_OCR: (
        "The document has pages or a picture but no text: it looks like a scan, and character recognition is off.",
        "Install it (docs/how-to/read-scans.md; RAG_OCR must not be `off`), or exclude the file.",
    ),
    R.OFFICE_FORMAT_OLD: (
        "A Word, Excel or PowerPoint file in the binary format of before 2007.",
        "Save it as docx, xlsx or pptx.",
    ),
    R.ARCHIVE_UNSUPPORTED: (
        "Archives are not unpacked.",
        "Unpack it and offer the documents in it one by one, or exclude it.",
    ),
    R.TYPE_MISMATCH: (
        "The content is of another type than the name says.",
        "Check the file; rename it if it is right.",
    ),
    R.ENCODING_UNKNOWN: ("The text's encoding could not be determined.", "Convert it to UTF-8."),
    R.ENCRYPTED: ("The document is encrypted.", "Provide it without a password."),
    R.PARSE_FAILED: ("The parser could not read the document.", "Open it in its application and save it again."),
    R.PARSER_TIMEOUT: ("Parsing took longer than RAG_PARSER_TIMEOUT_SECONDS.", "Split the document."),
    R.PARSER_OOM: ("Parsing needed more than RAG_PARSER_MEMORY_MB.", "Split the document."),
    R.PARSER_CRASHED: (
        "The parser process died.",
        "Report the kind of the document; docs/reference/document-types.md has what is read.",
    ),
    R.PARSER_UNAVAILABLE: (
        "No parser process could be started.",
        "Check memory and process limits.",
    ),
    R.PDF_LIMIT: ("A PDF stream inflates beyond the limit.", "Save it again with smaller pictures, or split it."),
    R.XML_DTD_FORBIDDEN: (
        "An office document declares a DTD, which is a sign of an attack.",
        "Do not open it; find out where it came from.",
    ),
    R.ARCHIVE_BOMB: (
        "A container inflates beyond ratio, size, count or depth limits.",
        "Do not unpack it; find out where it came from.",
    ),
    R.ARCHIVE_PATH: ("A container holds a path that leads outside.", "Do not unpack it."),
    R.IMAGE_BOMB: ("An image declares too many pixels.", "Scale it down."),
    R.NESTING_TOO_DEEP: ("The structure is nested too deeply.", "Simplify the document."),
    R.TEXT_TOO_LARGE: ("More text than RAG_MAX_TEXT_CHARS.", "Split the document."),
    R.TOO_MANY_CHUNKS: ("More chunks than RAG_MAX_CHUNKS.", "Split the document."),
    R.ZERO_CHUNKS: ("A document with text yielded no chunk.", "Report it with the id of the run; this is a defect."),
    R.CHUNK_FAILED: ("The chunker failed on the document.", "Report it with the id of the run; this is a defect."),
    R.SOURCE_UNAVAILABLE: (
        "The source cannot be reached.",
        "Check its path or address: a folder or file must be there, a server must run.",
    ),
    R.SOURCE_DENIED: (
        "The source refuses the user, the password or what it may read.",
        "Check the secret and the grants.",
    ),
    R.IDENTIFIER_INVALID: ("A table or column name that the database does not have.", "Correct the source file."),
    R.SCHEMA_CHANGED: (
        "A table or column that the source names does not exist, or no longer exists; nothing was deleted.",
        "Correct the source file or the database.",
    ),
    R.QUERY_INVALID: ("The database refused the statement.", "Try the query in the database's own client."),
    R.QUERY_NOT_READ_ONLY: (
        "The query is not exactly one SELECT that only reads.",
        "Rewrite it, or move the logic into a view.",
    ),
    R.QUERY_TIMEOUT: (
        "A statement took longer than statement_timeout_seconds.",
        "Index `updated_at` and the key, or raise it.",
    ),
    R.CELL_TOO_LARGE: ("A cell is larger than its limit.", "Raise max_cell_bytes or shorten the value."),
    R.VALUE_INVALID: ("A value cannot be converted.", "Correct the row."),
    R.KEY_NOT_UNIQUE: ("Several rows have the same key.", "Choose a key that is unique."),
    R.CURSOR_NOT_USABLE: (
        "The `updated_at` column cannot order changes.",
        "Use a time or an integer column, or a `query` that casts it.",
    ),
    R.CURSOR_NULL: (
        "A row's `updated_at` is null, so its edits would not be detected.",
        "Set it.",
    ),
    R.CURSOR_AHEAD: (
        "Rows have an `updated_at` more than a day in the future, which the cursor ignores.",
        "Correct the column of these rows.",
    ),
    R.INDEX_FOREIGN: (
        "A collection of the Qdrant server was made by another installation.",
        "Give each installation its own RAG_QDRANT_PREFIX.",
    ),
    R.INDEX_VERSION: ("The Qdrant server is too old.", "Run version 1.19 or newer."),
    R.QUALITY_EMPTY: ("The text has no letter and no digit.", "Check the document; docs/reference/quality-rules.md."),
    R.QUALITY_UNCERTAIN: (
        "Character recognition is not sure of what it read, and the source's rule `ocr_uncertainty` is an error.",
        "Scan it better, or raise the rule's limit for the source; docs/reference/quality-rules.md.",
    ),
    R.QUALITY_GARBAGE: (
        "The content is not readable text: encoded data, noise, or a repetition.",
        "Check the document; docs/reference/quality-rules.md.",
    ),
    R.QUALITY_ERROR_PAGE: (
        "The content is the error page of a server, not the document.",
        "Fix the source; docs/reference/quality-rules.md.",
    ),
    R.QUALITY_MOJIBAKE: ("The text was decoded with the wrong encoding.", "Store the document as UTF-8."),
    R.QUALITY_THRESHOLD: (
        "More of a run failed than the source allows.",
        "`rag quarantine list`, then fix the source or change its `quality` limits.",
    ),
    R.ALERT_UNDELIVERED: (
        "An alert could not be delivered to a notifier.",
        "Check its URL and secret; it is sent again.",
    ),
    R.CURATION_NOT_FOUND: ("No such curation, or not for this caller.", "`rag curate list`."),
    R.CURATION_LIMIT: ("The tenant has as many curations as it may have.", "Remove one that is not used."),
    R.WEBHOOK_NOT_FOUND: ("No such webhook, or not for this caller.", "`rag webhook list`."),
    R.WEBHOOK_DELIVERY_NOT_FOUND: (
        "No such delivery in the log of the caller's webhooks; old ones are deleted.",
        "`rag webhook deliveries`.",
    ),
    R.WEBHOOK_LIMIT: ("The tenant has as many webhooks as it may have.", "Remove one that is not used."),
    R.WEBHOOK_REFUSED: (
        "The receiver of a webhook answered with another status than 2xx.",
        "Correct the receiver, then `rag webhook redeliver`.",
    ),
    R.WEBHOOK_EXPIRED: (
        "A delivery waited for longer than RAG_WEBHOOK_RETRY_HOURS and was given up.",
        "Correct the receiver, then `rag webhook redeliver`.",
    ),
    R.ACCOUNTING_MISMATCH: (
        "read ≠ indexed + unchanged + deleted + quarantined + skipped.",
        "Run the source again; then report it.",
    ),
    R.DEPLOYMENT_BUSY: (
        "Another process is working on a deployment, or another deployment is in progress.",
        "`rag deploy status`; wait for it, or `rag deploy rollback`.",
    ),
    R.DEPLOYMENT_STATE: ("The deployment is not in a state that allows this.", "`rag deploy status` shows its state."),
    R.DEPLOYMENT_NOT_FOUND: ("No such deployment.", "`rag deploy status`."),
    R.ROLLBACK_REQUESTED: ("An operator requested the rollback.", "Nothing; the previous colour serves."),
    R.TARGET_UNAVAILABLE: (
        "The deployment target (supervisor, Kubernetes API) did not answer or refused.",
        "Fix the cause, then run the same command again: it resumes where it stopped.",
    ),
    R.CANDIDATE_UNHEALTHY: (
        "The servers of the new release did not become or stay ready.",
        "Read the log of the colour that `rag deploy status` names; the traffic was not moved or is back.",
    ),
    R.GREEN_WRONG: (
        "The new release answers golden questions worse than the serving release, or not at all.",
        "Compare its settings and model with the serving release.",
    ),
    R.GREEN_SLOW: (
        "The new release answers more slowly than RAG_DEPLOY_LATENCY_SECONDS allows.",
        "Find out why, or raise the objective.",
    ),
    R.GREEN_FAILING: ("Too many calls to the new release failed.", "Read its log."),
    R.GREEN_SILENT: (
        "No metrics of the new release could be read, so its health is unknown.",
        "Check /metrics of its servers and Envoy's admin port.",
    ),
    R.SERVICE_NOT_FOUND: ("The local stack has no such service.", "`rag status` names them."),
    R.PARTLY_DONE: (
        "A command did some of what was asked, and some of it failed.",
        "See which part failed in its output, and run the command for that part.",
    ),
    R.CHECK_FAILED: ("A command ran and found a problem.", "See its output."),
    R.INTERNAL: (
        "A defect. The log has the details under the id that is shown: of the request, the run or the operation.",
        "Report it with that id.",
    ),
}

IN_RUNS: dict[Reason, str] = {
    # code: what the platform does next, where it is a run or the stream worker that met the error
    R.REGISTRY_UNAVAILABLE: "The worker resumes where it stopped.",
    R.EVENT_INVALID: "Then redrive it.",
    R.EVENT_SCHEMA: "Then redrive it.",
    R.DEAD_LETTER_UNAVAILABLE: "The worker retries.",
    R.POISON_RATE: "A stream continues when its worker is restarted.",
    R.BROKER_UNAVAILABLE: "The worker resumes where it stopped.",
    R.BROKER_REFUSED: "The worker then continues automatically.",
    R.STORAGE_FULL: "The next run continues.",
    R.SOURCE_BUSY: "The next run continues.",
    R.LISTING_INCOMPLETE: "The next run continues; nothing is deleted.",
    R.HOST_UNREACHABLE: "The next run retries.",
    R.HTTP_STATUS: "The next run retries.",
    R.ACCESS_REFUSED: "Nothing is deleted.",
    R.CONTENT_TYPE: "The next run retries.",
    R.RESPONSE_TIMEOUT: "The next run retries.",
    R.CRAWL_BUDGET: "Nothing is deleted.",
    R.UNREADABLE: "It is retried, and nothing is deleted.",
    R.VANISHED: "The next run deletes it.",
    R.CHANGED_WHILE_READING: "The next run reads it.",
    R.EMPTY_DOCUMENT: "It is skipped, counted and listed.",
    R.TYPE_UNSUPPORTED: "A listed item is skipped, counted and listed; one that is pushed stays in quarantine.",
    R.SCHEMA_VIOLATION: "`rag quarantine redrive` has the next run try it again.",
    R.PARSER_CRASHED: "It stays in quarantine.",
    R.PARSER_UNAVAILABLE: "It is retried.",
    R.SOURCE_UNAVAILABLE: "It is retried.",
    R.CURSOR_NULL: "The next run reads it.",
}
"""Said in addition to the remedy of a code. A command, a check or a preview ends with its error: nothing follows."""


def remedy_of(reason: str, *, in_run: bool = False) -> str:
    """Return what to do about a reason code; empty for one that is not known here.

    `in_run`: a run or the stream worker met the error, and the platform continues by itself.
    """
    if reason not in Reason.__members__:
        return ""
    code = Reason(reason)
    return " ".join(filter(None, [REASONS[code][1], IN_RUNS.get(code, "") if in_run else ""]))
