namespace Huzhu.Local.Infrastructure;

/// <summary>A failure that is told in one sentence, without a stack trace; the exit code is part of it.</summary>
public abstract class ToldException(string sentence, int exitCode, Exception? inner = null) : Exception(sentence, inner)
{
    public int ExitCode { get; } = exitCode;
}

/// <summary>Something is missing and could not be installed.</summary>
public sealed class MissingRequirementException(string sentence, Exception? inner = null)
    : ToldException(sentence, ExitCodes.Missing, inner);

/// <summary>A server or a service did not become ready.</summary>
public sealed class DidNotStartException(string sentence, Exception? inner = null)
    : ToldException(sentence, ExitCodes.DidNotStart, inner);

/// <summary>What was asked for makes no sense now, such as a second <c>up</c>.</summary>
public sealed class UsageException(string sentence) : ToldException(sentence, ExitCodes.Usage);

/// <summary>A build did not compile; its output is part of the message.</summary>
public sealed class BuildFailedException(string sentence) : ToldException(sentence, ExitCodes.Failed);
