"""The master key in AWS KMS: it never leaves the service. It needs ``likeness-server[aws]``.

Address, region and credentials are those of AWS's own variables and files. What a data key is bound to goes along as
the encryption context.
"""

from typing import Any

from likeness.errors import ServiceUnavailable, SetupError


class AwsKms:
    """A symmetric key of AWS KMS, by its id, ARN or alias."""

    def __init__(self, key_id: str) -> None:
        """Raises SetupError without the extra, or without a region."""
        try:
            import boto3  # noqa: PLC0415  an extra
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise SetupError("LIKENESS_KEY_PROVIDER=aws-kms needs likeness-server[aws]") from error
        self._key_id = key_id
        self._refusal, self._fault = ClientError, BotoCoreError
        try:
            self._client: Any = boto3.client("kms")
        except BotoCoreError as error:
            raise SetupError(f"AWS KMS cannot be used: {error}") from error

    def wrap(self, data_key: bytes, context: str) -> bytes:
        answer = self._call("encrypt", KeyId=self._key_id, Plaintext=data_key, EncryptionContext=_bound_to(context))
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        answer = self._call("decrypt", KeyId=self._key_id, CiphertextBlob=wrapped, EncryptionContext=_bound_to(context))
        return bytes(answer["Plaintext"])

    def _call(self, verb: str, **values: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, verb)(**values)
        except self._refusal as error:
            code = error.response["Error"]["Code"]
            if code in {"InvalidCiphertextException", "IncorrectKeyException", "ValidationException"}:
                raise SetupError(
                    "a stored data key does not open: wrong master key in AWS KMS, or the data was altered"
                ) from error
            if code in {"AccessDeniedException", "NotFoundException", "DisabledException"}:
                raise SetupError(f"AWS KMS refuses the key {self._key_id} ({code})") from error
            raise ServiceUnavailable(f"AWS KMS, which has the master key, answers {code}.") from error
        except self._fault as error:
            raise ServiceUnavailable("AWS KMS cannot be reached now, and has the master key.") from error
        return answer


def _bound_to(context: str) -> dict[str, str]:
    return {"likeness": context}
