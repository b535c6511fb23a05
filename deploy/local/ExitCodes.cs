namespace Huzhu.Local;

public static class ExitCodes
{
    public const int Ok = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int Missing = 3;
    public const int DidNotStart = 4;
    public const int Interrupted = 130;

    /// <summary>The last lines of <c>--help</c>.</summary>
    public const string Explained =
        """
        Exit codes: 0 ok, 1 failed (a test, an invariant, a build, a service that is not ready), 2 bad usage,
        3 something is missing and could not be installed, 4 a server or a service did not start, 130 interrupted.
        """;
}
