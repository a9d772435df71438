"""The cases of the WinterTC draft, of workerd and of Node that apply to a client library; see docs/conformance.md."""
