---@meta
-- What the server adds to the language server protocol, for the type checker.

---@alias redraft.Intent 'rewrite'|'fix'|'fill'

---@class redraft.EditArgument The one argument of redraft.rewrite, redraft.fix and redraft.fill.
---@field uri string
---@field range lsp.Range
---@field version? integer
---@field instruction? string
---@field message? string The diagnostic to mend.
---@field guess? boolean Where no fix is sure, hand over unsure ones.
---@field all? boolean Mend every fault of the document.
---@field apply? boolean False: hand the candidates over and leave the document alone.

---@class redraft.Candidate
---@field text string
---@field score number Mean log-likelihood per token, at most 0; higher is better.
---@field parses? boolean Whether the whole document parses with it; nil when there is no parser.

---@class redraft.Proposal The candidates of one edit. `range` holds `original` in document `version`.
---@field version integer
---@field range lsp.Range
---@field original string
---@field candidates redraft.Candidate[]

---@class redraft.Outcome
---@field applied boolean
---@field reason? string
---@field proposal? redraft.Proposal

---@class redraft.Denoise One state of an edit under way; masks are U+2591.
---@field job integer
---@field uri string
---@field version integer
---@field range lsp.Range
---@field step integer
---@field of integer
---@field text string
---@field changed lsp.Range[] What differs in `text` from the state before it; its lines are those of `text`.

---@class redraft.Status
---@field busy boolean
---@field kind 'Normal'|'Warning'|'Error'|'Inactive'
---@field message string
---@field remote? string The host that edits send code to; nil: code stays on this machine.

---@class redraft.StatusReport: redraft.Status
---@field engine? table<string, string|number>
